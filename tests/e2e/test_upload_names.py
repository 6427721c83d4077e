"""Every regular file goes up under its exact name; a name that no key can have is a failed file, not a crash."""

import os

from .lab import MARKERS, RUN_FILES, Lab, keys_put, read_json, run_id, write_files

ODD_NAMES = [
    "with space +plus &and ?question =is #hash %percent",
    "100%25 %2F%20.txt",
    "single'double\"grave`",
    "[brackets]{braces}(parentheses)<angles>",
    "back\\slash",
    "~tilde!star*semi;colon:comma,at@dollar$caret^pipe|",
    " leading and trailing ",
    "-dash",
    "...dots",
    ".hidden/.also hidden",
    ".hidden/empty",
    "Ärger/日本/한글/😀.bcl",
    "e\u0301 decomposed and \u00e9 composed",
    "\u00e9 composed",
    "a" * 255,
]
CONTROL_CHARACTERS = ["line\nbreak", "tab\tand\x7fdelete", "\x01\x1b"]
NOT_UTF8 = os.fsdecode(b"not utf-8 \xff\xfe.bcl")


def contents(names: list[str]) -> dict[str, bytes]:
    return {
        f"Data/{name}": b"" if name.endswith("empty") else f"of number {number}".encode()
        for number, name in enumerate(names)
    }


def test_odd_names_arrive_exactly(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(files=contents(ODD_NAMES))

    done = lab.upload(run, bucket, "--remote-path", "/with space/ä+b", "--json")

    assert done.exit_code == 0, done.stderr
    lab.assert_in_bucket(run, bucket, f"with space/ä+b/{run.name}")
    log = lab.run_log(run)
    assert set(log["uploaded_files"]) >= {str(run / name) for name in contents(ODD_NAMES)}
    proxy = lab.behind()
    assert lab.upload(run, bucket, "--remote-path", "/with space/ä+b").exit_code == 0
    assert {seen.operation for seen in proxy.seen} == {"HeadBucket"}


def test_control_characters_arrive_exactly(lab: Lab) -> None:
    bucket, run = lab.bucket(), lab.make_run(files=contents(CONTROL_CHARACTERS))

    done = lab.upload(run, bucket)

    assert done.exit_code == 0, done.stderr
    for name, content in contents(CONTROL_CHARACTERS).items():
        assert lab.server.body(bucket, f"{run.name}/{name}") == content


def test_a_name_that_is_not_utf_8_fails_alone_and_is_written_with_escapes(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    (run / NOT_UTF8).write_bytes(b"content")
    escaped = str(run / "not utf-8 \\xff\\xfe.bcl")

    done = moto_lab.upload(run, bucket, "--json")

    assert done.exit_code == 3
    (row,) = done.json["runs"]
    (failed,) = row["failed_files"]
    assert failed["path"] == escaped
    assert "UTF-8" in failed["error"]
    assert any(escaped in line and "UTF-8" in line for line in done.stderr.splitlines())
    assert "Traceback" not in done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name, without=f"not utf-8|{'|'.join(MARKERS)}")
    log = moto_lab.run_log(run)
    assert log["failed_upload_files"] == [escaped]
    assert (log["total_local_files"], log["total_uploaded_files"]) == (RUN_FILES + 1, RUN_FILES - len(MARKERS))

    (run / NOT_UTF8).rename(run / "renamed.bcl")
    proxy = moto_lab.behind()
    assert moto_lab.upload(run, bucket).exit_code == 0
    assert keys_put(proxy) == [f"{run.name}/{name}" for name in ("renamed.bcl", *MARKERS)]


def test_a_run_folder_whose_own_name_is_not_utf_8_does_not_stop_the_others(moto_lab: Lab) -> None:
    bucket, bad, good = moto_lab.bucket(), moto_lab.make_run(1), moto_lab.make_run(2)
    bad = bad.rename(bad.parent / os.fsdecode(b"run_\xff"))

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket)), "--json")

    assert done.exit_code == 3, done.stderr
    states = {row["run_id"]: (row["state"], len(row["failed_files"])) for row in done.json["runs"]}
    assert states == {good.name: ("uploaded", 0), "run_\\xff": ("partial", RUN_FILES - len(MARKERS))}
    moto_lab.assert_in_bucket(good, bucket, good.name)
    log = read_json(moto_lab.log_dir / "uploads" / "run_\\xff.upload.log.json")
    assert log["total_failed_upload"] == RUN_FILES - len(MARKERS)  # which were not tried


def test_a_key_that_is_too_long_fails_alone(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    deep = "/".join(["d" * 250] * 4)
    write_files(run, {f"{deep}/{'f' * 100}": b"deep"})

    done = moto_lab.upload(run, bucket, "--json")

    assert done.exit_code == 3
    (failed,) = done.json["runs"][0]["failed_files"]
    assert "1024" in failed["error"].replace(",", "")
    moto_lab.assert_in_bucket(run, bucket, run.name, without=f"/dddd|{'|'.join(MARKERS)}")
    assert moto_lab.run_log(run)["run_id"] == run_id(1)
