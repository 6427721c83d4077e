"""What `verify` says, and with which exit code."""

import json

import pytest

from async_s3_upload.cli.verify.report import SHOWN, Finding, VerifiedRun, VerifyReport

MISSING = Finding("/seq/run/a", "runs/run/a", "there is no such object")


def row(**found: object) -> VerifiedRun:
    made = VerifiedRun("run", "/seq/run", "bucket", "/runs/", "quick")
    for name, value in found.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("rows", "problems", "trouble_code", "exit_code"),
    [
        ([], [], 0, 0),
        ([row()], [], 0, 0),
        ([row(extra=["x"], unproved=[MISSING], repaired=[MISSING])], [], 0, 0),
        ([row(), row(missing=[MISSING])], [], 0, 4),
        ([row(different=[MISSING], failed=[MISSING], trouble="x")], [], 0, 4),
        ([row(failed=[MISSING])], [], 0, 3),
        ([row(trouble="S3 could not be asked")], [], 0, 3),
        ([row(failed=[MISSING]), row(missing=[MISSING])], [], 0, 4),
        ([row(missing=[MISSING])], ["no bucket"], 1, 1),
        ([], ["x"], 143, 143),
    ],
)
def test_a_difference_counts_more_than_what_is_unfinished_and_an_error_most(
    rows: list[VerifiedRun], problems: list[str], trouble_code: int, exit_code: int
) -> None:
    report = VerifyReport(rows, problems, trouble_code)

    assert report.exit_code == exit_code
    assert json.loads(report.as_json())["exit_code"] == exit_code


def test_json_holds_everything() -> None:
    made = row(missing=[MISSING], extra=["runs/run/x"], notes=["n"], trouble="t", files=3, bytes=10, seconds=1.23456)

    assert made.as_json() == {
        "run_id": "run",
        "run_path": "/seq/run",
        "bucket": "bucket",
        "prefix": "runs/run",
        "level": "quick",
        "state": "different",
        "detail": "t; n",
        "files": 3,
        "bytes": 10,
        "missing": [{"path": "/seq/run/a", "key": "runs/run/a", "detail": "there is no such object"}],
        "different": [],
        "unproved": [],
        "failed": [],
        "repaired": [],
        "extra": ["runs/run/x"],
        "seconds": 1.235,
    }


def test_people_get_a_line_a_run_and_lists_with_an_end() -> None:
    many = [Finding(f"/seq/run/{number}", f"runs/run/{number}", "why") for number in range(SHOWN + 2)]

    lines = list(row(missing=many, extra=["runs/run/x"], files=22, bytes=10).lines())

    assert lines[0] == "run: different: 22 missing, 1 extra (bucket:runs/run, quick, 22 files, 10 B, 0.0 s)"
    assert lines[1] == "  missing: /seq/run/0: why"
    assert lines[SHOWN + 1 :] == [
        "  ... and 2 more missing",
        "  extra: runs/run/x: no file explains it; it is left alone",
    ]


def test_what_is_not_known_of_a_run_is_said() -> None:
    made = VerifiedRun("run", "", "", "", "deep", unproved=[MISSING])
    assert next(made.lines()).startswith("run: verified: 1 cannot be proved (no known bucket, deep")
