"""Trouble that no line of the program expects: a sentence for the machine's, a request to report for the program's."""

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator

import platformdirs
import pytest

from async_s3_upload import config
from async_s3_upload.cli import main
from async_s3_upload.cli.options import state_folder
from async_s3_upload.cli.streams import trouble_of_the_machine
from async_s3_upload.errors import DEBUG_VARIABLE, UsageError


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command changes its process; put everything back."""
    handler, hooks = signal.getsignal(signal.SIGTERM), (sys.unraisablehook, threading.excepthook)
    monkeypatch.delenv(DEBUG_VARIABLE, raising=False)
    with warnings.catch_warnings():
        yield
    signal.signal(signal.SIGTERM, handler)
    sys.unraisablehook, threading.excepthook = hooks
    os.environ.pop(DEBUG_VARIABLE, None)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "No space left on device: free space on the disk"),
        (errno.EDQUOT, "Disk quota exceeded: free space, or raise this user's quota"),
        (errno.EFBIG, "File too large: raise the limit of file sizes (ulimit -f)"),
        (errno.EMFILE, "Too many open files: raise the limit of open files (ulimit -n)"),
        (errno.ENFILE, "Too many open files in system: the whole machine has too many open files"),
        (errno.ENOMEM, "Cannot allocate memory: free memory, or start fewer worker processes (max_cores, --cores)"),
    ],
)
def test_trouble_of_the_machine_has_a_remedy(number: int, remedy: str) -> None:
    assert trouble_of_the_machine(OSError(number, os.strerror(number))) == remedy
    assert trouble_of_the_machine(OSError(number, os.strerror(number), "/log/x")) == f"/log/x: {remedy}"


def test_a_lack_of_memory_is_the_machine_s_and_other_errors_are_not() -> None:
    told = "there is not enough memory: free memory, or start fewer worker processes (max_cores, --cores)"
    assert trouble_of_the_machine(MemoryError()) == told
    for error in (OSError("no number"), FileNotFoundError(errno.ENOENT, "No such file"), KeyError("x")):
        assert trouble_of_the_machine(error) is None


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(_path: str) -> None:
        raise error

    monkeypatch.setattr(config, "read_config", fail)


def test_a_fault_of_the_program_is_named_without_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(monkeypatch, KeyError("x"))

    assert main.run(["monitor", "--config", "c"]) == 1
    assert capsys.readouterr().err == (
        "error: unexpected KeyError: 'x'\nThis is a fault of the program. What was uploaded so far is remembered. "
        "Run `async-s3-upload --debug ...` for the traceback and report it.\n"
    )


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fails_with(monkeypatch, KeyError("x"))

    with pytest.raises(KeyError):
        main.run(["--debug", "monitor", "--config", "c"])


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 1, ""),
        (MemoryError(), 1, "error: there is not enough memory: free memory"),
    ],
)
def test_what_ends_the_command_has_its_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, told: str
) -> None:
    fails_with(monkeypatch, error)

    assert main.run(["monitor", "--config", "c"]) == code
    assert capsys.readouterr().err.startswith(told)


def test_warnings_of_libraries_stay_off_the_user_s_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def warn(_path: str) -> None:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        raise UsageError("the end")

    monkeypatch.setattr(config, "read_config", warn)
    monkeypatch.setattr(sys, "warnoptions", [])

    assert main.run(["monitor", "--config", "c"]) == 2
    assert capsys.readouterr().err == "error: the end\n"


def test_a_user_without_a_home_has_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_name: str) -> None:
        raise RuntimeError

    monkeypatch.setattr(platformdirs, "user_state_path", no_home)
    with pytest.raises(UsageError, match="this user has no home folder for the logs: name one with --log-dir"):
        state_folder()
