"""CRC64NVME as S3 wants it."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3_upload.transfer.engine.checksum import as_header, combined, crc_of


def by_definition(data: bytes) -> int:
    """CRC-64/NVME bit by bit: reflected polynomial 0x9A6C9329AC4BC9B5, initial and final inversion."""
    value = 0xFFFF_FFFF_FFFF_FFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x9A6C_9329_AC4B_C9B5 if value & 1 else 0)
    return value ^ 0xFFFF_FFFF_FFFF_FFFF


def test_the_check_value_of_the_algorithm() -> None:
    assert crc_of(b"123456789") == 0xAE8B_1486_0A79_9888


@pytest.mark.parametrize(("value", "text"), [(0, "AAAAAAAAAAA="), (1, "AAAAAAAAAAE="), (2**64 - 1, "//////////8=")])
def test_the_header_is_base64_of_eight_big_endian_bytes(value: int, text: str) -> None:
    assert as_header(value) == text
    assert int.from_bytes(base64.b64decode(text), "big") == value


@given(st.binary(max_size=200))
def test_the_sum_is_that_of_the_definition(data: bytes) -> None:
    assert crc_of(data) == by_definition(data)


@given(st.lists(st.binary(max_size=100), max_size=6))
def test_sums_of_parts_combine_to_that_of_the_whole(pieces: list[bytes]) -> None:
    assert combined((crc_of(piece), len(piece)) for piece in pieces) == crc_of(b"".join(pieces))
