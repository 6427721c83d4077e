"""The config file: what it may hold, and how its faults are told."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from async_s3_upload.config import Config, MonitorSection, read_config
from async_s3_upload.destination import check_bucket_name, check_remote_path
from async_s3_upload.errors import ConfigError
from async_s3_upload.timetable import Timetable, Window

SECTION = {"monitored_directories": ["/seq/1"], "bucket": "bucket-a", "remote_path": "/"}
EXAMPLE = Path(__file__).parents[2] / "example_config.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def config(**changes: Any) -> dict[str, Any]:
    return {"monitor": [SECTION]} | changes


def section(**changes: Any) -> dict[str, Any]:
    return {"monitor": [SECTION | changes]}


def read(path: Path, data: object) -> Config:
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return read_config(str(path))


def problems(path: Path, data: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(path, data)
    assert caught.value.path == str(path)
    return list(caught.value.problems)


def test_a_config_of_the_replaced_tool_is_read_with_every_key(path: Path) -> None:
    found = read(
        path,
        {
            "max_cores": 4,
            "max_threads": 8,
            "max_age": 96,
            "log_level": "DEBUG",
            "log_dir": "/var/log/other",
            "slack_log_webhook": "https://hooks.slack.com/services/A/B",
            "slack_alert_webhook": "https://hooks.slack.com/services/C/D",
            "monitor": [
                {
                    "monitored_directories": ["/seq/1", "/seq/2"],
                    "bucket": "bucket_A",
                    "remote_path": "/runs",
                    "sample_regex": "_assay_1_|_assay_2_",
                    "exclude_patterns": ["Thumbnail_Images/", r"\.tmp$"],
                },
                SECTION,
            ],
        },
    )
    assert (found.max_cores, found.max_threads, found.max_age) == (4, 8, 96.0)
    assert (found.log_level, found.log_dir) == (logging.DEBUG, "/var/log/other")
    assert found.log_webhook == "https://hooks.slack.com/services/A/B"
    assert found.alert_webhook == "https://hooks.slack.com/services/C/D"
    first, second = found.monitor
    assert first.monitored_directories == ["/seq/1", "/seq/2"]
    assert (first.bucket, first.remote_path) == ("bucket_A", "/runs")
    assert first.sample_regex == re.compile("_assay_1_|_assay_2_")
    assert first.exclude_patterns == [re.compile("Thumbnail_Images/"), re.compile(r"\.tmp$")]
    assert (second.sample_regex, second.exclude_patterns) == (None, [])


def test_what_is_not_given_has_the_replaced_tool_s_defaults(path: Path) -> None:
    found = read(path, config())
    assert (found.max_cores, found.max_age, found.log_dir) == (None, 72.0, "/var/log/s3_upload")
    assert (found.log_level, found.checksum) == (logging.INFO, "crc64nvme")
    assert (found.log_webhook, found.alert_webhook) == (None, None)


def test_the_example_config_is_valid() -> None:
    assert len(read_config(str(EXAMPLE)).monitor) == 2


def test_a_config_is_frozen(path: Path) -> None:
    found = read(path, config())
    for part, key in ((found, "max_threads"), (found.monitor[0], "bucket")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, key, "other")


@pytest.mark.parametrize(
    ("log", "alert", "told"),
    [
        ("https://a/1", "https://b/2", ("https://a/1", "https://b/2")),
        ("https://a/1", None, ("https://a/1", "https://a/1")),
        (None, "https://b/2", ("https://b/2", "https://b/2")),
        ("", "https://b/2", ("https://b/2", "https://b/2")),
        (None, None, (None, None)),
    ],
)
def test_each_webhook_falls_back_on_the_other(
    path: Path, log: str | None, alert: str | None, told: tuple[str | None, str | None]
) -> None:
    found = read(path, config(slack_log_webhook=log, slack_alert_webhook=alert))
    assert (found.log_webhook, found.alert_webhook) == told


@pytest.mark.parametrize(
    ("value", "level"),
    [("INFO", 20), ("warning", 30), (" Error ", 40), ("10", 10), (15, 15), (0, 0), ("CRITICAL", 50), ("WARN", 30)],
)
def test_the_log_level_is_a_name_or_a_number(path: Path, value: object, level: int) -> None:
    assert read(path, config(log_level=value)).log_level == level


@pytest.mark.parametrize("value", ["LOUD", "²", "", True, -1, 1.5, None, []])
def test_other_log_levels_are_refused(path: Path, value: object) -> None:
    (problem,) = problems(path, config(log_level=value))
    assert problem == (
        f"log_level: must be a level's name (DEBUG, INFO, WARNING, ERROR, CRITICAL) or its number, not {value!r}"
    )


@pytest.mark.parametrize("value", [None, [], ["a"]])
def test_exclude_patterns_may_be_empty(path: Path, value: list[str] | None) -> None:
    found = read(path, section(exclude_patterns=value))
    assert [pattern.pattern for pattern in found.monitor[0].exclude_patterns] == (value or [])


@pytest.mark.parametrize("value", [None, ""])
def test_an_empty_sample_regex_is_none(path: Path, value: str | None) -> None:
    assert read(path, section(sample_regex=value)).monitor[0].sample_regex is None


def test_max_age_may_be_a_fraction_of_an_hour(path: Path) -> None:
    assert read(path, config(max_age=0.5)).max_age == 0.5


def test_running_runs_are_left_alone_unless_a_section_asks_for_them(path: Path) -> None:
    quiet = read(path, config())
    assert (quiet.monitor[0].upload_in_progress, quiet.monitor[0].min_file_age) == (False, 300.0)
    assert (quiet.max_minutes_per_tick, quiet.stalled_after, quiet.rescan_completed_hours) == (15.0, 24.0, 24.0)
    asked = read(path, section(upload_in_progress=True, min_file_age=0.5) | {"max_minutes_per_tick": 1})
    assert (asked.monitor[0].upload_in_progress, asked.monitor[0].min_file_age) == (True, 0.5)
    assert asked.max_minutes_per_tick == 1.0


@pytest.mark.parametrize(("value", "hours"), [(None, None), (0, None), (0.0, None), (0.25, 0.25), (48, 48.0)])
def test_no_hours_at_all_mean_that_no_run_ever_counts_as_stalled(
    path: Path, value: float | None, hours: float | None
) -> None:
    assert read(path, config(stalled_after=value)).stalled_after == hours


def test_completed_runs_may_be_left_alone(path: Path) -> None:
    assert read(path, config(rescan_completed_hours=0)).rescan_completed_hours == 0.0


def test_a_byte_order_mark_is_no_problem(path: Path) -> None:
    path.write_text(json.dumps(config()), "utf-8-sig")
    assert read_config(str(path)).monitor[0].bucket == "bucket-a"


def test_all_problems_are_listed_at_once_each_with_its_place(path: Path) -> None:
    assert problems(
        path,
        {
            "max_cores": "4",
            "max_threads": 0,
            "max_age": -1,
            "log_level": "LOUD",
            "log_dir": "logs",
            "report_html": "page.html",
            "slack_log_webhook": "hooks.slack.com/services/SECRET",
            "slack_alert_webhook": 5,
            "checksum": "md5",
            "max_core": 4,
            "monitor": [
                SECTION | {"bucket": "s3://bucket-a"},
                {
                    "monitored_directories": ["seq", "/ok", 5],
                    "bucket": "",
                    "remote_path": "",
                    "sample_regex": "(",
                    "exclude_patterns": ["ok", "[", 5],
                    "exclude_pattern": ["x"],
                },
                "text",
                {"monitored_directories": []},
            ],
        },
    ) == [
        "max_cores: must be a whole number, not text",
        "max_threads: must be at least 1",
        "max_age: must be more than 0",
        "log_level: must be a level's name (DEBUG, INFO, WARNING, ERROR, CRITICAL) or its number, not 'LOUD'",
        'log_dir: must be an absolute path, not "logs"',
        'report_html: must be an absolute path, not "page.html"',
        "slack_log_webhook: must be a web address that starts with https:// (the value is not shown: it is a secret)",
        "slack_alert_webhook: must be text, not 5",
        "checksum: must be 'crc64nvme' or 'none'",
        'monitor[0].bucket: give the name of the bucket alone, without "s3://", slashes or spaces, not "s3://bucket-a"',
        'monitor[1].monitored_directories[0]: must be an absolute path, not "seq"',
        "monitor[1].monitored_directories[2]: must be text, not 5",
        "monitor[1].bucket: must not be empty",
        'monitor[1].remote_path: must not be empty; "/" is the root of the bucket',
        'monitor[1].sample_regex: "(" is not a valid regular expression: '
        "missing ), unterminated subpattern at position 0",
        'monitor[1].exclude_patterns[1]: "[" is not a valid regular expression: '
        "unterminated character set at position 0",
        "monitor[1].exclude_patterns[2]: must be a regular expression as text, not 5",
        'monitor[1].exclude_pattern: unknown key; did you mean "exclude_patterns"?',
        "monitor[2]: must be an object, not text",
        "monitor[3].monitored_directories: must not be an empty list",
        "monitor[3].bucket: is missing, it is required",
        "monitor[3].remote_path: is missing, it is required",
        'max_core: unknown key; did you mean "max_cores"?',
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"max_cores": True}, "max_cores: must be a whole number, not true/false"),
        ({"max_cores": 0}, "max_cores: must be at least 1"),
        ({"max_threads": 1.5}, "max_threads: must be a whole number, not 1.5"),
        ({"max_threads": 1025}, "max_threads: must be at most 1024"),
        ({"max_threads": "8"}, "max_threads: must be a whole number, not text"),
        ({"part_size": "65 MiB"}, "part_size: must not be more than memory_per_core"),
        ({"memory_per_core": "1 MiB"}, "memory_per_core: must be at least 16777216"),
        (
            {"memory_per_core": "much"},
            'memory_per_core: must be a number of bytes or a size such as "64 MiB", not "much"',
        ),
        ({"memory_per_core": 6.4e7}, "memory_per_core: must be a whole number, not 64000000.0"),
        ({"tags": {str(n): "" for n in range(11)}}, "tags: S3 takes 10 tags at most, not 11"),
        ({"tags": {"": "x"}}, 'tags: tag "": a name has 1 to 128 characters, a value at most 256'),
        ({"tags": {"a": "x" * 257}}, 'tags: tag "a": a name has 1 to 128 characters, a value at most 256'),
        (
            {"metadata": {"a b": "x"}},
            'metadata: "a b" cannot be a name of metadata: letters, digits, ".", "_" and "-" can',
        ),
        ({"metadata": {"a": "\u00e4"}}, 'metadata: the value of "a" must be printable ASCII'),
        ({"expected_bucket_owner": "1"}, 'expected_bucket_owner: must be the 12 digits of an AWS account, not "1"'),
        ({"kms_key_id": "k"}, 'kms_key_id: needs server_side_encryption "aws:kms" or "aws:kms:dsse"'),
        (
            {"use_accelerate_endpoint": True, "addressing_style": "path"},
            'use_accelerate_endpoint: does not go with addressing_style "path"',
        ),
        ({"transport": "carrier pigeon"}, "transport: must be 'lean' or 'aiobotocore'"),
        ({"dask_scheduler": "tcp://h"}, 'dask_scheduler: must be tcp://HOST:PORT or tls://HOST:PORT, not "tcp://h"'),
        ({"max_age": "72"}, "max_age: must be a number, not text"),
        ({"max_age": 0}, "max_age: must be more than 0"),
        ({"max_age": float("inf")}, "max_age: must be a finite number, not inf"),
        ({"max_age": True}, "max_age: must be a number, not true/false"),
        ({"max_minutes_per_tick": 0}, "max_minutes_per_tick: must be more than 0"),
        ({"max_minutes_per_tick": None}, "max_minutes_per_tick: must be a number, not null"),
        ({"stalled_after": -1}, "stalled_after: must be at least 0"),
        ({"stalled_after": "24"}, "stalled_after: must be a number, not text"),
        ({"stalled_after": float("inf")}, "stalled_after: must be a finite number, not inf"),
        ({"rescan_completed_hours": -0.5}, "rescan_completed_hours: must be at least 0"),
        ({"rescan_completed_hours": None}, "rescan_completed_hours: must be a number, not null"),
        ({"log_dir": None}, "log_dir: must be text, not null"),
        ({"log_dir": "/a\0b"}, "log_dir: must not contain a NUL character"),
        ({"log_dir": "/a\ud800"}, "log_dir: holds a character that no path can hold"),
        ({"monitor": []}, "monitor: must not be an empty list"),
        ({"monitor": {}}, "monitor: must be a list, not an object"),
        ({"monitor": None}, "monitor: must be a list, not null"),
        ({"checksum": None}, "checksum: must be 'crc64nvme' or 'none'"),
        ({"monitors": []}, 'monitors: unknown key; did you mean "monitor"?'),
        ({"nullable": 1}, f"nullable: unknown key; known are: {', '.join(Config.model_fields)}"),
    ],
)
def test_a_fault_of_a_top_key_is_told(path: Path, changes: dict[str, Any], problem: str) -> None:
    assert problems(path, config(**changes)) == [problem]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"monitored_directories": "/seq"}, ".monitored_directories: must be a list, not text"),
        ({"monitored_directories": ["/a", ""]}, '.monitored_directories[1]: must be an absolute path, not ""'),
        ({"monitored_directories": ["~/seq"]}, '.monitored_directories[0]: must be an absolute path, not "~/seq"'),
        ({"bucket": None}, ".bucket: must be text, not null"),
        ({"bucket": "  "}, ".bucket: must not be empty"),
        (
            {"bucket": "a/b"},
            '.bucket: give the name of the bucket alone, without "s3://", slashes or spaces, not "a/b"',
        ),
        ({"bucket": "a?"}, '.bucket: a name of a bucket has letters, digits, ".", "_" and "-" only, not "a?"'),
        ({"bucket": "\ud800"}, ".bucket: holds a character that no bucket name can hold"),
        ({"remote_path": "s3://bucket/x"}, '.remote_path: must be a path inside the bucket, without "s3://"'),
        ({"remote_path": "/a/../b"}, '.remote_path: must not contain "." or ".." as a folder: "/a/../b"'),
        ({"remote_path": ""}, '.remote_path: must not be empty; "/" is the root of the bucket'),
        (
            {"server_side_encryption": "AES256", "kms_key_id": "k"},
            '.kms_key_id: needs server_side_encryption "aws:kms" or "aws:kms:dsse"',
        ),
        ({"remote_path": "."}, '.remote_path: must not contain "." or ".." as a folder: "."'),
        ({"remote_path": "\ud800"}, ".remote_path: holds a character that no key can hold"),
        ({"sample_regex": 5}, ".sample_regex: must be a regular expression as text, not 5"),
        ({"sample_regex": "a{99999999999}"}, ".sample_regex: is not a usable regular expression: OverflowError"),
        ({"exclude_patterns": "x"}, ".exclude_patterns: must be a list, not text"),
        ({"upload_in_progress": 1}, ".upload_in_progress: must be true or false, not 1"),
        ({"min_file_age": 0}, ".min_file_age: must be more than 0"),
        ({"min_file_age": float("nan")}, ".min_file_age: must be a finite number, not nan"),
        ({"zork": 1}, f".zork: unknown key; known are: {', '.join(MonitorSection.model_fields)}"),
        ({"max_age": 1}, f".max_age: unknown key; known are: {', '.join(MonitorSection.model_fields)}"),
    ],
)
def test_a_fault_of_a_section_is_told_with_the_number_of_the_section(
    path: Path, changes: dict[str, Any], problem: str
) -> None:
    assert problems(path, {"monitor": [SECTION, SECTION | changes]}) == ["monitor[1]" + problem]


def test_a_key_given_twice_is_told_with_its_place_beside_the_other_problems(path: Path) -> None:
    text = (
        '{"max_age": 1, "max_age": -2, "monitor": [{"bucket": "a", "bucket": "b", "remote_path": "/", '
        '"monitored_directories": ["/x"]}]}'
    )
    assert sorted(problems(path, text)) == [
        "max_age: is given twice in the same object",
        "max_age: must be more than 0",
        "monitor[0].bucket: is given twice in the same object",
    ]


def test_a_key_given_twice_is_a_problem_even_where_all_else_is_right(path: Path) -> None:
    text = json.dumps(config())[:-1] + ', "max_age": 1, "max_age": 1}'
    assert problems(path, text) == ["max_age: is given twice in the same object"]


def test_keys_given_twice_in_what_another_replaced_are_not_told(path: Path) -> None:
    text = '{"monitor": [{"bucket": "a", "bucket": "b"}], "monitor": ' + json.dumps([SECTION]) + "}"
    assert problems(path, text) == ["monitor: is given twice in the same object"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "line 1, column 1: is not valid JSON: Expecting value"),
        ('{"monitor": [],\n}', "line 2, column 1: is not valid JSON:"),
        ("[]", 'must be a JSON object with keys such as "monitor", not a list'),
        ("null", 'must be a JSON object with keys such as "monitor", not null'),
        ("5", 'must be a JSON object with keys such as "monitor", not 5'),
        ("{}", "monitor: is missing, it is required"),
        ("[" * 100_000, "is not a usable config: nested too deeply"),
        ('{"max_cores": ' + "9" * 5000 + "}", "is not a usable config: Exceeds the limit"),
    ],
    ids=["empty", "comma", "list", "null", "number", "object", "deep", "digits"],
)
def test_a_file_that_is_no_config_at_all_is_told(path: Path, text: str, problem: str) -> None:
    (found,) = problems(path, text)
    assert found.startswith(problem)


def test_a_file_that_is_no_utf8_is_told(path: Path) -> None:
    path.write_bytes(b'{"monitor": "\xff"}')
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 13\)"):
        read_config(str(path))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        read_config(str(tmp_path / "missing.json"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config(str(tmp_path))


@pytest.mark.parametrize(
    "address", ["hooks.slack.com/SECRET", "https://", "ftp://h/SECRET", "https://a b/SECRET", "https:///SECRET"]
)
def test_a_webhook_is_a_secret_that_no_problem_shows(path: Path, address: str) -> None:
    (problem,) = problems(path, config(slack_log_webhook=address))
    assert problem.startswith("slack_log_webhook: must be a web address")
    assert "SECRET" not in problem


def test_a_webhook_is_no_part_of_a_config_s_text(path: Path) -> None:
    found = read(path, config(slack_log_webhook="https://h/SECRET", slack_alert_webhook="https://h/SECRET"))
    assert "SECRET" not in repr(found)
    assert "SECRET" not in str(found)


@pytest.mark.parametrize("name", ["bucket-a", "bucket_A", "a.b.c"])
def test_names_of_buckets_are_given_back(name: str) -> None:
    assert check_bucket_name(name) == name


@pytest.mark.parametrize("name", ["", "s3://b", "b/", "a b", "b\udcff"])
def test_what_can_be_no_bucket_is_a_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=r"must not be empty|name of the bucket alone|no bucket name can hold"):
        check_bucket_name(name)


@pytest.mark.parametrize("remote_path", ["/", "runs", "/runs/", "/a/b..c/.d", "Ä"])
def test_remote_paths_are_given_back(remote_path: str) -> None:
    assert check_remote_path(remote_path) == remote_path


@pytest.mark.parametrize("remote_path", ["", "s3://b/x", "..", "a/./b", "\udcff"])
def test_what_can_start_no_key_is_a_value_error(remote_path: str) -> None:
    with pytest.raises(ValueError, match=r"must|holds"):
        check_remote_path(remote_path)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("64 MiB", 64 << 20),
        ("64mib", 64 << 20),
        ("0.5GB", 500_000_000),
        (20_000_000, 20_000_000),
        ("20000000", 20_000_000),
    ],
)
def test_memory_is_bytes_or_a_size_in_words(path: Path, value: object, found: int) -> None:
    assert read(path, {"memory_per_core": value, "monitor": [SECTION]}).memory_per_core == found


def test_a_key_with_a_line_break_stays_on_the_line_of_its_problem(path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(path, {"monitor": [SECTION | {"metadata": {"a\nb": None}}]})
    assert list(caught.value.problems) == ["monitor[0].metadata.a\\x0ab: must be text, not null"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TOP_KEYS = st.sampled_from(sorted(Config.model_fields)) | st.text("abc_", min_size=1, max_size=5)
SECTION_KEYS = st.sampled_from(sorted(MonitorSection.model_fields)) | st.text("abc_", min_size=1, max_size=5)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(TOP_KEYS, JSON, max_size=4), st.lists(st.dictionaries(SECTION_KEYS, JSON), max_size=2) | st.none()
)
def test_whatever_json_says_each_problem_has_its_place(
    path: Path, top: dict[str, Any], sections: list[dict[str, Any]] | None
) -> None:
    data = top if sections is None else top | {"monitor": [SECTION | changes for changes in sections]}
    try:
        read(path, data)
    except ConfigError as error:
        for problem in error.problems:
            place = re.match(r".+?(?=: )", problem)
            assert place, problem
            assert re.split(r"[.\[]", place[0])[0] in {*data, "monitor"}


def test_bandwidth_is_unlimited_unless_said_otherwise(path: Path) -> None:
    assert read(path, config()).bandwidth is None
    assert read(path, config(max_bandwidth=None, bandwidth_timetable={})).bandwidth is None
    assert read(path, config(max_bandwidth="unlimited")).bandwidth is None


def test_bandwidth_is_a_rate_and_a_timetable(path: Path) -> None:
    found = read(
        path,
        config(max_bandwidth="400MB/s", bandwidth_timetable={"08:00-18:00": "50MB/s", "22:00-06:00": "unlimited"}),
    )
    assert found.bandwidth == Timetable(400e6, (Window(480, 1080, 50e6), Window(1320, 360, None)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"max_bandwidth": 400}, 'max_bandwidth: must be text such as "400MB/s" or "unlimited", not 400'),
        (
            {"max_bandwidth": "fast"},
            'max_bandwidth: must be a rate such as "400MB/s" or "1Gbit/s", or "unlimited", not "fast"',
        ),
        ({"bandwidth_timetable": "50MB/s"}, "bandwidth_timetable: must be an object, not text"),
        ({"bandwidth_timetable": None}, "bandwidth_timetable: must be an object, not null"),
        (
            {"bandwidth_timetable": {"08:00-18:00": None}},
            'bandwidth_timetable.08:00-18:00: must be text such as "400MB/s" or "unlimited", not null',
        ),
        (
            {"bandwidth_timetable": {"8-18": "1MB/s"}},
            'bandwidth_timetable: must be a time of the day such as "08:00-18:00" or "22:00-06:00", not "8-18"',
        ),
        (
            {"bandwidth_timetable": {"22:00-06:00": "1MB/s", "05:00-07:00": "2MB/s"}},
            'bandwidth_timetable: "22:00-06:00" and "05:00-07:00" overlap',
        ),
    ],
)
def test_bandwidth_that_cannot_be_meant_is_one_sentence(path: Path, changes: dict[str, Any], expected: str) -> None:
    assert problems(path, config(**changes)) == [expected]


def test_a_window_that_is_given_twice_is_named(path: Path) -> None:
    text = '{"bandwidth_timetable": {"08:00-18:00": "1MB/s", "08:00-18:00": "2MB/s"}, "monitor": []}'
    assert "bandwidth_timetable.08:00-18:00: is given twice in the same object" in problems(path, text)


def test_a_place_is_one_line_whatever_a_key_holds(path: Path) -> None:
    assert problems(path, section(metadata={"a\nb": None})) == ["monitor[0].metadata.a\\x0ab: must be text, not null"]


def test_which_runs_and_when_they_end_is_a_section_s_own(path: Path) -> None:
    (found,) = read(
        path,
        section(
            monitored_directories=["/data/promethion/*/*"],
            sample_match="any",
            run_regex="_A01295_",
            instrument_ids=["A01295", " LH00188 "],
            completion_grace=0,
            completion_markers=["done.txt", "logs/*_end[12].log"],
            run_markers=["*.fov"],
            upload_failed_runs=True,
        ),
    ).monitor
    assert found.monitored_directories == ["/data/promethion/*/*"]
    assert (found.sample_match, found.run_regex) == ("any", re.compile("_A01295_"))
    assert found.instrument_ids == ["A01295", "LH00188"]
    assert (found.completion, found.completion_grace) == ("instrument", 0.0)
    assert (found.completion_markers, found.run_markers) == (["done.txt", "logs/*_end[12].log"], ["*.fov"])
    assert found.upload_failed_runs


def test_by_default_any_run_is_wanted_once_its_instrument_s_rule_says_that_it_ended(path: Path) -> None:
    (found,) = read(path, section(run_regex="", instrument_ids=None, completion_markers=None, run_markers=None)).monitor
    assert (found.sample_match, found.run_regex, found.instrument_ids) == ("all", None, [])
    assert (found.completion, found.completion_grace) == ("instrument", 60.0)
    assert (found.completion_markers, found.run_markers, found.upload_failed_runs) == ([], [], False)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("sample_match", "some", "must be 'all' or 'any'"),
        ("run_regex", "(", '"(" is not a valid regular expression: missing ), unterminated subpattern at position 0'),
        ("instrument_ids", ["A", " "], "must be an instrument's serial number, not empty text"),
        ("instrument_ids", "A01295", "must be a list, not text"),
        ("completion", "all", "must be 'instrument' or 'any'"),
        ("completion_grace", "60", "must be a number, not text"),
        ("completion_markers", ["/x"], 'must be a name or pattern of files relative to the run folder, not "/x"'),
        ("completion_markers", ["../x"], 'must be a name or pattern of files relative to the run folder, not "../x"'),
        ("completion_markers", [""], 'must be a name or pattern of files relative to the run folder, not ""'),
        ("completion_markers", ["a/**/b"], '"a/**/b": each "*" stands for names of one level, "**" for nothing'),
        ("run_markers", ["a\0"], "must not contain a NUL character"),
        ("monitored_directories", ["/d/**"], '"/d/**": each "*" stands for the folders of one level, "**" for nothing'),
        ("upload_failed_runs", 1, "must be true or false, not 1"),
    ],
)
def test_what_cannot_tell_runs_is_named_with_its_place(path: Path, key: str, value: object, problem: str) -> None:
    (found,) = problems(path, section(**{key: value}))
    assert re.sub(r"\[\d+\](?=:)", "", found) == f"monitor[0].{key}: {problem}"


def test_markers_that_contradict_the_rest_of_their_section_are_named(path: Path) -> None:
    assert problems(path, section(run_markers=["x"])) == [
        "monitor[0].run_markers: needs completion_markers, which say when such a run has ended"
    ]
    assert problems(path, section(completion="any", completion_markers=["x"])) == [
        'monitor[0].completion: "any" does not go with completion_markers'
    ]
