"""What can end a command, and the code of the process that says so."""

from __future__ import annotations

import signal

import pytest

from async_s3_upload import errors
from async_s3_upload.errors import (
    EXIT_CODES,
    AwsAccessError,
    ConfigError,
    Interrupted,
    LogDirError,
    ManifestError,
    NotACompleteRun,
    UploadError,
    UsageError,
    WorkersError,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UploadError, 1),
        (AwsAccessError, 1),
        (LogDirError, 1),
        (ManifestError, 1),
        (WorkersError, 1),
        (UsageError, 2),
        (ConfigError, 2),
        (NotACompleteRun, 2),
    ],
)
def test_each_error_has_its_exit_code(kind: type[UploadError], code: int) -> None:
    assert kind.exit_code == code


def test_every_code_of_an_error_is_among_those_that_are_explained() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, UploadError)]
    assert {kind.exit_code for kind in kinds} <= set(EXIT_CODES)
    assert set(EXIT_CODES) == {0, 1, 2, 3, 4, 130, 143}
    assert all(EXIT_CODES.values())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_has_the_code_that_shells_give_it(number: int, code: int) -> None:
    error = Interrupted(number)
    assert (error.signal_number, error.code) == (number, code)
    assert "the state is kept" in str(error)


def test_a_config_error_lists_its_problems_under_the_name_of_the_file() -> None:
    error = ConfigError("/etc/c.json", ["monitor: is missing", "max_age: must be a number, not text"])
    assert str(error) == (
        "/etc/c.json: 2 problems in the config\n  monitor: is missing\n  max_age: must be a number, not text"
    )
    assert error.problems == ("monitor: is missing", "max_age: must be a number, not text")


def test_one_problem_is_no_plural() -> None:
    assert str(ConfigError("c", ["x"])) == "c: 1 problem in the config\n  x"
