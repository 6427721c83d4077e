"""The main job on a made-up run folder and an embedded S3 server: what ``make demo`` shows."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any

from async_s3_upload.demo.run_folder import DEMO, make_run_folder
from async_s3_upload.demo.stage import BUCKET, Stage, say, stage
from async_s3_upload.text import size_text


def show() -> int:
    """Run the demo; returns 0 when the run lay in the bucket and the second ``monitor`` found nothing to do.

    Raises:
        NoServerError: the embedded server is not installed.
    """
    with stage() as set_up, tempfile.TemporaryDirectory(prefix="async-s3-upload-demo-") as folder:
        return _show_in(folder, set_up)


def _show_in(folder: str, set_up: Stage) -> int:
    sequencer = os.path.join(folder, "sequencer_1")
    os.mkdir(sequencer)
    run_folder = make_run_folder(sequencer, DEMO)
    config = os.path.join(folder, "config.json")
    with open(config, "w", encoding="utf-8") as file:
        json.dump(_config(folder, sequencer), file, indent=4)
    say(f"An instrument has written a run: {run_folder}")
    say(f"An S3 server runs at {set_up.endpoint}, with an empty bucket {BUCKET}.\n")
    first = _monitor(set_up, config)
    listed = set_up.objects()
    say(f"\nIn the bucket now: {len(listed)} objects, {size_text(sum(listed.values()))}")
    for key, size in list(listed.items())[:8]:
        say(f"  {size:>12,}  {key}")
    say(f"  ... and {len(listed) - 8} more\n")
    second = _monitor(set_up, config)
    local = sum(len(names) for _, _, names in os.walk(run_folder))
    good = first == second == 0 and len(listed) == local
    say(f"\n{'All' if good else 'NOT all'} {local} files of the run are in S3; the second round had nothing to do.")
    return 0 if good else 1


def _config(folder: str, sequencer: str) -> dict[str, Any]:
    return {
        "max_cores": 2,
        "max_threads": 8,
        "log_dir": os.path.join(folder, "log"),
        "monitor": [{"monitored_directories": [sequencer], "bucket": BUCKET, "remote_path": "/runs"}],
    }


def _monitor(set_up: Stage, config: str) -> int:
    say("$ async-s3-upload monitor --config config.json")
    code = set_up.monitor(config, sys.stdout)
    say(f"exit code {code}")
    return code
