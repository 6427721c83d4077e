"""The main job on a made-up run folder and an embedded S3 server: what ``make demo`` shows."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

from async_s3_upload.demo.run_folder import DEMO, make_run_folder
from async_s3_upload.demo.stage import BUCKET, Stage, say, stage
from async_s3_upload.text import printable, size_text

PAGE = "async-s3-upload-demo.html"
RATE_TO_WATCH = "8MB/s"
"""Of the upload on a terminal: it takes three seconds, and the live view is to be seen."""
_LISTED = 8


def show() -> int:
    """Run the demo; returns 0 when the run lay in the bucket and the second ``monitor`` found nothing to do.

    The report page stays, in the current folder or, where that cannot be written, in a new one for temporary files.

    Raises:
        NoServerError: the embedded server is not installed.
    """
    with stage() as set_up, tempfile.TemporaryDirectory(prefix="async-s3-upload-demo-") as folder:
        return _show_in(folder, set_up)


def _show_in(folder: str, set_up: Stage) -> int:
    watched = sys.stderr.isatty()
    sequencer = os.path.join(folder, "sequencer_1")
    os.mkdir(sequencer)
    run_folder = make_run_folder(sequencer, DEMO)
    config = os.path.join(folder, "config.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump(_config(folder, sequencer, watched=watched), file, indent=4)
    say(f"An instrument has written a run: {run_folder}")
    say(f"An S3 server runs at {set_up.endpoint}, with an empty bucket {BUCKET}.")
    say(f"The upload is held to {RATE_TO_WATCH}, to be watched.\n" if watched else "")
    first = _run(set_up, config, "monitor")
    listed = set_up.objects()
    say(f"\nIn the bucket now: {len(listed)} objects, {size_text(sum(listed.values()))}")
    for key, size in list(listed.items())[:_LISTED]:
        say(f"  {size:>12,}  {key}")
    say(f"  ... and {len(listed) - _LISTED} more\n")
    second = _run(set_up, config, "monitor")
    say("")
    told = _run(set_up, config, "status")
    page = page_to_write()
    say("")
    written = _run(set_up, config, "report", page)
    local = sum(len(names) for _, _, names in os.walk(run_folder))
    in_s3 = first == second == 0 and len(listed) == local
    say(f"\n{'All' if in_s3 else 'NOT all'} {local} files of the run are in S3; the second round had nothing to do.")
    if written == 0:
        say(f"The report page, to open in a browser: {printable(page)}")
    return 0 if in_s3 and told == written == 0 else 1


def page_to_write() -> str:
    """Return where the report page goes: into the current folder where it can be written, else a new one."""
    folder = os.path.abspath(os.curdir)
    page = os.path.join(folder, PAGE)
    if os.access(folder, os.W_OK | os.X_OK) and not os.path.isdir(page):
        return page
    return os.path.join(tempfile.mkdtemp(prefix="async-s3-upload-demo-page-"), PAGE)


def _config(folder: str, sequencer: str, *, watched: bool) -> dict[str, Any]:
    return {
        "max_cores": 2,
        "max_threads": 8,
        "log_dir": os.path.join(folder, "log"),
        "max_bandwidth": RATE_TO_WATCH if watched else "unlimited",
        "monitor": [{"monitored_directories": [sequencer], "bucket": BUCKET, "remote_path": "/runs"}],
    }


def _run(set_up: Stage, config: str, name: str, *arguments: str) -> int:
    """Run a command on the config, its log on the terminal where there is one. Returns its exit code."""
    shown = [os.path.basename(argument) for argument in arguments]
    say(" ".join(["$ async-s3-upload", name, *shown, "--config config.json"]))
    errors = sys.stderr if sys.stderr.isatty() else sys.stdout
    code = set_up.run([name, *arguments, "--config", config], sys.stdout, errors)
    if code or name == "monitor":
        say(f"exit code {code}")
    return code
