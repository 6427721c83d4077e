"""``report_html``: the page is there after each round, also a bad one, and never makes a round bad."""

from tests.support.proxy import Answer, Rule, on

from .lab import Lab


def test_the_page_tells_of_the_round_that_just_ended(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    page = moto_lab.folder / "page.html"
    config = moto_lab.write_config(moto_lab.section(bucket), report_html=str(page))
    moto_lab.behind(Rule(on("PutObject", key_ends="RunInfo.xml"), Answer(403, "AccessDenied")))

    assert moto_lab.monitor(config).exit_code == 3
    first = page.read_text(encoding="utf-8")
    moto_lab.behind()
    assert moto_lab.monitor(config).exit_code == 0
    second = page.read_text(encoding="utf-8")

    assert "exit code 3" in first
    assert "RunInfo.xml" in first
    assert "exit code 0" in second
    assert "1 run uploaded" in second
    assert "No file of any run failed." in second
    assert run.name in first
    assert run.name in second


def test_a_page_that_cannot_be_written_is_an_error_on_the_log_and_no_failed_round(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()
    config = moto_lab.write_config(moto_lab.section(bucket), report_html=str(moto_lab.folder / "missing" / "page.html"))

    done = moto_lab.monitor(config)

    assert done.exit_code == 0, done.stderr
    moto_lab.assert_in_bucket(run, bucket, run.name)
    (line,) = [line for line in moto_lab.log_text.splitlines() if "report page" in line]
    assert "ERROR no report page was written: " in line
    assert "missing/page.html cannot be written: No such file or directory" in line
