"""The command line of `upload`: paths, spellings of the replaced tool, checks, excludes, where the state lies."""

import stat

import pytest

from tests.support.command import run_command

from .lab import RUN_FILES, Lab, keys_put, run_id


@pytest.mark.parametrize("ending", ["/", "/."])
def test_the_run_folders_name_is_in_the_keys_however_the_path_ends(moto_lab: Lab, ending: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()

    done = moto_lab.upload(f"{run}{ending}", bucket)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert len(moto_lab.server.objects(bucket)) == RUN_FILES
    assert moto_lab.run_log(run)["run_path"] == str(run)


@pytest.mark.parametrize("path", [".", "Data/.."])
def test_the_path_may_be_relative_to_where_one_is(moto_lab: Lab, path: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()

    done = moto_lab.upload(path, bucket, cwd=run)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    assert set(moto_lab.run_log(run)["uploaded_files"]) >= {str(run / "RunInfo.xml")}


@pytest.mark.parametrize(("remote_path", "prefix"), [("/a/b", "a/b/"), ("a/b/", "a/b/"), ("///a", "a/")])
def test_keys_have_no_leading_slash(moto_lab: Lab, remote_path: str, prefix: str) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()

    done = moto_lab.upload(run, bucket, "--remote-path", remote_path)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, f"{prefix}{run.name}")
    assert len(moto_lab.server.objects(bucket)) == RUN_FILES


def test_lines_of_the_replaced_tool_keep_working(lab: Lab) -> None:
    bucket = lab.bucket()
    folder = lab.sequencer("a_b") / "no_run"
    (folder / "sub_folder").mkdir(parents=True)
    (folder / "sub_folder" / "a_file").write_bytes(b"content")
    options = [f"--local_path={folder}", "--bucket", bucket, "--remote_path", "/un_der", "--skip_check"]

    options += ["--cores", "2", "--threads", "4", "--log_dir", str(lab.log_dir)]

    done = run_command("upload", *options, server=lab.server)

    assert done.exit_code == 0, done.stderr
    assert set(lab.server.objects(bucket)) == {"un_der/no_run/sub_folder/a_file"}


@pytest.mark.parametrize("lacking", [["RunInfo.xml"], ["CopyComplete.txt", "RTAComplete.txt"]])
def test_a_folder_that_is_no_complete_run_goes_up_with_skip_check_only(moto_lab: Lab, lacking: list[str]) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    for name in lacking:
        (run / name).unlink()
    proxy = moto_lab.behind()

    refused = moto_lab.upload(run, bucket, "--json")

    assert refused.exit_code == refused.json["exit_code"] == 2
    assert f"{run} is not a complete sequencing run: " in refused.stderr
    assert "; check the path, or give --skip-check to upload the folder as it is" in refused.stderr
    assert lacking[0] in refused.stderr
    if lacking == ["RunInfo.xml"]:
        assert (
            "it has no RunInfo.xml, nor does its name or another file say which instrument wrote it" in refused.stderr
        )
    assert [row["reason"] for row in refused.json["runs"]] == ["not_complete"]
    assert proxy.seen == []

    done = moto_lab.upload(run, bucket, "--skip-check")

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)


def test_excludes_are_repeatable_and_hold_on_the_full_path(moto_lab: Lab) -> None:
    bucket = moto_lab.bucket()
    run = moto_lab.make_run(files={"Thumbnail_Images/a.jpg": b"a", "b.log": b"b", "sub/b.log.txt": b"c"})
    proxy = moto_lab.behind()

    done = moto_lab.upload(run, bucket, "--exclude", f"^{run}/Thumb", "--exclude", r"\.log$", "--json")

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name, without=r"/Thumb|\.log$")
    assert done.json["runs"][0]["files"] == len(keys_put(proxy)) == moto_lab.run_log(run)["total_local_files"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--exclude", "(open"], '--exclude: "(open" is not a valid regular expression: '),
        (["--bucket", "s3://my-bucket"], "--bucket: give the name of the bucket alone"),
        (["--local-path", "/not/there"], "--local-path: /not/there does not exist"),
        (["--local-path", "/dev/null"], "--local-path: /dev/null is no folder"),
        (["--local-path", "/"], "--local-path: the root folder has no name that could be the run's"),
        (["--endpoint-url", "s3.lab"], '--endpoint-url: must be an address such as http://s3.lab:9000, not "s3.lab"'),
        (["--endpoint-url", "http://[::1"], "--endpoint-url: must be an address such as"),
        (["--endpoint-url", "http://s3:99999"], "--endpoint-url: must be an address such as"),
        (["--part-size", "3"], "--part-size: must be 5 to 64 (MiB), not 3"),
        (["--log-dir", ""], "--log-dir: must not be empty"),
        (["--max-bandwidth", "fast"], '--max-bandwidth: must be a rate such as "400MB/s" or "1Gbit/s"'),
        (["--cores", "0"], "Invalid value for '--cores'"),
        (["--no-such-option"], "No such option: --no-such-option"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(moto_lab: Lab, options: list[str], named: str) -> None:
    run, proxy = moto_lab.make_run(), moto_lab.behind()

    done = moto_lab.upload(run, "my-bucket", *options)

    assert done.exit_code == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert proxy.seen == []
    assert not moto_lab.log_dir.exists()


def test_a_folder_without_files_is_told_of(moto_lab: Lab) -> None:
    bucket, empty = moto_lab.bucket(), moto_lab.sequencer("empty")

    done = moto_lab.upload(empty, bucket, "--skip-check")

    assert done.exit_code == 0, done.stderr
    assert f"{empty} holds no files to upload" in done.stderr


def test_a_dry_run_names_a_torn_run_log(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    moto_lab.write_old_log(run, ["RunInfo.xml"])
    moto_lab.run_log_path(run).write_text("{")

    done = moto_lab.upload(run, bucket, "--dry-run")

    assert done.exit_code == 0, done.stderr
    assert f"run log {moto_lab.run_log_path(run)} is torn or no run log: " in done.stderr
    assert "nothing of it is recorded" not in done.stdout


def test_the_state_lies_in_the_users_own_folder_by_default(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    home = moto_lab.folder / "home"
    home.mkdir()
    command = ["upload", "--local-path", str(run), "--bucket", bucket]

    first = run_command(*command, env={**moto_lab.server.environment(), "HOME": str(home)})
    proxy = moto_lab.behind()
    second = run_command(*command, env={**moto_lab.reached.environment(), "HOME": str(home)})

    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    assert keys_put(proxy) == []
    (log,) = home.rglob(f"{run_id(1)}.upload.log.json")
    assert stat.S_ISREG(log.stat().st_mode)


def test_help_tells_every_option_and_exit_code() -> None:
    done = run_command("upload", "--help", env={"COLUMNS": "200"})

    assert done.exit_code == 0
    options = "local-path bucket remote-path skip-check cores concurrency threads exclude dry-run log-dir endpoint-url"
    for option in [*options.split(), "profile", "region", "json"]:
        assert f"--{option}" in done.stdout
    words = " ".join(done.stdout.split())
    assert "Print one JSON document on stdout; everything else goes to stderr." in words
    assert "Print what happens as JSON lines on stdout (docs/events.md); everything else goes to stderr." in words
    for line in (
        "0    done, or nothing to do",
        "1    fatal: AWS access, a bucket, the log folder, the Dask cluster, or a manifest that cannot be read",
        "2    usage or config error, or not a complete run",
        "3    some files or runs failed; they are tried again next time",
        "4    verify found objects that are missing or different",
        "130  stopped by SIGINT, state kept",
        "143  stopped by SIGTERM, state kept",
    ):
        assert line in done.stdout
    for code in ("0", "1", "2", "3", "130", "143"):
        assert any(line.split()[:1] == [code] for line in done.stdout.splitlines())
