"""What can name a Dask scheduler, what its scheduler file says, and what is said where a cluster cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from async_s3_upload.errors import ClusterError
from async_s3_upload.transfer.cluster import sentences
from async_s3_upload.transfer.cluster.address import SchedulerAddress


@pytest.mark.parametrize("text", ["tcp://10.0.0.4:8786", "tls://dask.lab.example:443", "tcp://[fd00::1]:8786"])
def test_a_text_with_a_protocol_is_an_address(text: str) -> None:
    found = SchedulerAddress.parse(text)
    assert found == SchedulerAddress(text, None)
    assert found.contact() == str(found) == text


def test_anything_else_is_the_path_of_a_scheduler_file() -> None:
    assert SchedulerAddress.parse("/shared/scheduler.json") == SchedulerAddress(None, "/shared/scheduler.json")


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/lab")
    assert SchedulerAddress.parse("~/scheduler.json") == SchedulerAddress(None, "/home/lab/scheduler.json")


@pytest.mark.parametrize(
    "text",
    [
        "http://host:8786",
        "ucx://host:8786",
        "ws://host:8786",
        "inproc://host:8786",
        "tcp://host",
        "tcp://:8786",
        "tcp://host:0",
        "tcp://host:70000",
        "tcp://host:port",
        "tcp://host:8786/path",
        "tcp://me@host:8786",
        "tcp://ho st:8786",
        "tcp://[::1:8786",
        "://",
        "/a://b",
    ],
)
def test_an_address_has_tcp_or_tls_a_host_and_a_port_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="must be tcp://HOST:PORT or tls://HOST:PORT, not ") as caught:
        SchedulerAddress.parse(text)
    assert text in str(caught.value)


@pytest.mark.parametrize("text", ["", "host:8786", "scheduler.json", "~nobody-of-that-name/scheduler.json"])
def test_a_path_is_absolute(text: str) -> None:
    words = "must be tcp://HOST:PORT, tls://HOST:PORT or the absolute path of a scheduler file, not "
    with pytest.raises(ValueError, match=words):
        SchedulerAddress.parse(text)


@pytest.mark.parametrize("text", ["/a\0b", "tcp://host\n:8786", "/half\udcff"])
def test_characters_that_nobody_can_mean_are_refused(text: str) -> None:
    words = "holds a character that neither an address nor the path of a scheduler file can hold"
    with pytest.raises(ValueError, match=words):
        SchedulerAddress.parse(text)


def test_a_scheduler_file_is_read_when_the_address_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    found = SchedulerAddress.parse(str(file))
    for port in (8786, 8787):  # each start of a scheduler writes it anew
        file.write_text(json.dumps({"type": "Scheduler", "address": f"tls://10.0.0.4:{port}", "workers": {}}))
        assert found.contact() == f"tls://10.0.0.4:{port}"


def test_a_scheduler_file_that_is_not_there_is_named_and_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    with pytest.raises(ClusterError) as caught:
        SchedulerAddress.parse(str(file)).contact()
    assert str(caught.value) == (
        f"scheduler file {file} cannot be read: No such file or directory; "
        "start the scheduler with this --scheduler-file, in a folder that this machine sees too"
    )
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"address": 1}', '{"address": "/etc/passwd"}', '{"address": "ucx://host:1"}', "\udcff"],
)
def test_a_file_without_an_address_is_no_scheduler_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "scheduler.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ClusterError, match=r" is no scheduler file of Dask: its address .*; start the scheduler with"):
        SchedulerAddress.parse(str(file)).contact()


def test_a_file_that_names_no_address_says_so(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("{}")
    with pytest.raises(ClusterError, match="its address is not there; start the scheduler with --scheduler-file"):
        SchedulerAddress.parse(str(tmp_path / "s")).contact()


WORKER = "tcp://10.0.0.7:40123"


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        (
            sentences.does_not_see("/runs/a", "No such file or directory"),
            "it does not see /runs/a (No such file or directory); "
            "mount the folder at the same path, readable for its user",
        ),
        (
            sentences.sees_another_size("/runs/a/b"),
            "it sees another size of /runs/a/b; look whether the same storage is mounted there",
        ),
        (
            sentences.sees_another_inode("/runs/a/b"),
            "it sees another inode of /runs/a/b; mount the same storage there (SMB: with serverino)",
        ),
        (sentences.cannot_open("no memory"), "it cannot begin: no memory"),
        (
            sentences.has_another_version("0.1.0", "0.2.0"),
            "it has async-s3-upload 0.1.0, this is 0.2.0: install the same version",
        ),
        (
            sentences.has_another_version(None, "0.2.0"),
            "it has no async-s3-upload, this is 0.2.0: install the same version",
        ),
        (sentences.finds_no_credentials("no profile lab"), "it finds no AWS credentials: no profile lab"),
    ],
)
def test_a_worker_that_cannot_be_used_is_named_with_the_reason_and_what_to_do(why: str, sentence: str) -> None:
    assert sentences.cannot_be_used(WORKER, why) == f"worker {WORKER} cannot be used: {sentence}"


def test_a_scheduler_that_is_of_no_use_is_named() -> None:
    assert sentences.no_worker("tcp://s:1") == (
        "the Dask scheduler at tcp://s:1 has no worker that can be used: start some (dask worker)"
    )
    assert sentences.no_answer("tcp://s:1", 30.0, "refused") == (
        "the Dask scheduler at tcp://s:1 does not answer within 30 s: refused"
    )
    assert (
        sentences.worker_lost("tcp://w:2", 3) == "worker tcp://w:2 is gone with 3 files in hand, they are tried again"
    )
    assert sentences.scheduler_lost("it closed") == "the Dask scheduler was lost: it closed"
