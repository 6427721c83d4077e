"""Which process this is, and whether another one still runs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from async_s3_upload.state import this_host
from async_s3_upload.state.this_host import life_of, this_process

from .owners import ELSEWHERE, dead_process


def test_this_process_runs_and_is_named_by_number_and_host() -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert life_of(here) == "runs"
    assert str(replace(here, pid=12, host="seq-1")) == "process 12 on host seq-1"


def test_a_process_that_ended_is_gone_also_before_its_parent_took_notice() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = replace(this_process(), pid=child.pid, started=this_host._stat(child.pid)[1])
        assert life_of(process) == "runs"
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert life_of(process) == "gone"
    assert life_of(process) == "gone"


def test_a_number_that_another_process_has_now_is_not_the_same_process() -> None:
    assert life_of(dead_process()) == "gone"


def test_before_this_host_was_started_anew_nothing_runs_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_host, "machine_id", lambda: "machine")
    assert life_of(replace(this_process(), boot="an earlier one")) == "gone"


def test_of_another_host_nothing_is_known_even_if_it_has_the_same_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert life_of(ELSEWHERE) == "unknown"
    monkeypatch.setattr(this_host, "machine_id", lambda: "machine")
    assert life_of(replace(ELSEWHERE, host=this_process().host)) == "unknown"
    monkeypatch.setattr(this_host, "machine_id", lambda: "")  # as in containers: the name alone says too little
    assert life_of(replace(ELSEWHERE, host=this_process().host, machine="")) == "unknown"


def test_of_another_container_on_this_host_nothing_is_known() -> None:
    assert life_of(replace(dead_process(), space="pid:[1]")) == "unknown"


def test_where_the_system_does_not_tell_when_it_was_started_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    here = this_process()
    assert life_of(replace(here, boot="")) == "unknown"
    monkeypatch.setattr(this_host, "_stat", lambda pid: ("", None))
    assert life_of(here) == "unknown"


def test_files_that_the_system_does_not_have_are_empty_texts() -> None:
    assert this_host._first_line("/proc/no-such-file") == ""
