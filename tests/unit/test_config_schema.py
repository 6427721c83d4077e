"""The schema that editors get says what the config reader takes, and the published one is the program's."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from async_s3_upload.config import Config, MonitorSection, read_config
from async_s3_upload.config_schema import config_schema, schema_text
from async_s3_upload.errors import ConfigError

ROOT = Path(__file__).parents[2]
SCHEMA = config_schema()
TAKES = Draft202012Validator(SCHEMA)
SECTION: dict[str, Any] = {"monitored_directories": ["/data"], "bucket": "runs", "remote_path": "/"}


def document(key: str, value: Any) -> dict[str, Any]:
    """A small config in which a key, of the file or of its section, has this value."""
    if key in MonitorSection.model_fields:
        return {"monitor": [{**SECTION, key: value}]}
    return {"monitor": [SECTION], key: value}


def reader_takes(path: Path, content: Any) -> bool:
    path.write_text(json.dumps(content))
    try:
        read_config(str(path))
    except ConfigError:
        return False
    return True


GOOD: list[tuple[str, Any]] = [
    ("$schema", "https://example.org/config.schema.json"),
    ("max_cores", None),
    ("max_cores", 4),
    ("max_threads", 1024),
    ("max_age", 0.5),
    ("log_level", "info"),
    ("log_level", " Warn "),
    ("log_level", "10"),
    ("log_level", 15),
    ("log_dir", "/var/log/grün"),
    ("dask_scheduler", None),
    ("dask_scheduler", "tcp://host:8786"),
    ("dask_scheduler", "tls://[fd00::1]:443"),
    ("dask_scheduler", "/shared/scheduler.json"),
    ("dask_scheduler", "~/scheduler.json"),
    ("slack_log_webhook", None),
    ("slack_log_webhook", ""),
    ("slack_alert_webhook", "https://hooks.example.org/services/T/B/x"),
    ("memory_per_core", 16 * 2**20),
    ("memory_per_core", "64 MiB"),
    ("memory_per_core", "1.5g"),
    ("part_size", "8MB"),
    ("stalled_after", 0),
    ("stalled_after", None),
    ("max_bandwidth", "400MB/s"),
    ("max_bandwidth", " 1.5 Gbit "),
    ("max_bandwidth", "Unlimited"),
    ("max_bandwidth", None),
    ("bandwidth_timetable", {"8:00 - 18:00": "50MB/s", "22:00-06:00": "unlimited"}),
    ("bandwidth_timetable", {"00:00-24:00": "1MiB"}),
    ("storage_class", "GLACIER_IR"),
    ("expected_bucket_owner", "123456789012"),
    ("tags", {"project": "x" * 256}),
    ("metadata", {"a-b.c": "printable ASCII ~"}),
    ("addressing_style", None),
    ("monitored_directories", ["/data/promethion/*/*", "/a"]),
    ("bucket", "My_bucket.1"),
    ("remote_path", "a/b/.hidden"),
    ("remote_path", "//"),
    ("sample_regex", ""),
    ("sample_regex", "^a|b$"),
    ("sample_regex", "(?i:a)(?P<name>b)"),
    ("exclude_patterns", None),
    ("exclude_patterns", ["Thumbnail", ""]),
    ("instrument_ids", ["A01295"]),
    ("completion_grace", 0),
    ("completion_markers", ["done.txt", "logs/*.end", ".hidden"]),
    ("completion_markers", None),
]
BAD: list[tuple[str, Any]] = [
    ("$schema", 1),
    ("unknown", 1),
    ("max_cores", 0),
    ("max_cores", True),
    ("max_cores", "4"),
    ("max_threads", 1025),
    ("max_age", 0),
    ("max_age", None),
    ("log_level", "LOUD"),
    ("log_level", -1),
    ("log_level", None),
    ("log_level", True),
    ("log_dir", "relative"),
    ("log_dir", "/nul\0"),
    ("dask_scheduler", "host:8786"),
    ("dask_scheduler", "ucx://host:8786"),
    ("dask_scheduler", "tcp://host"),
    ("dask_scheduler", ""),
    ("slack_log_webhook", "hooks.example.org"),
    ("slack_log_webhook", "https:// x"),
    ("slack_log_webhook", "https://x/with space"),
    ("memory_per_core", 1),
    ("memory_per_core", "lots"),
    ("memory_per_core", "64 MiBit"),
    ("memory_per_core", None),
    ("part_size", -1),
    ("min_rate", 1023),
    ("stalled_after", -1),
    ("max_bandwidth", "400mb/s"),
    ("max_bandwidth", "5 iB"),
    ("max_bandwidth", 400),
    ("bandwidth_timetable", {"8-18": "50MB/s"}),
    ("bandwidth_timetable", {"25:00-26:00": "50MB/s"}),
    ("bandwidth_timetable", {"08:00-18:00": None}),
    ("bandwidth_timetable", None),
    ("storage_class", "WARM"),
    ("kms_key_id", ""),
    ("expected_bucket_owner", "12345678901"),
    ("tags", {"": "x"}),
    ("tags", {str(number): "x" for number in range(11)}),
    ("tags", {"a": "x" * 257}),
    ("metadata", {"a b": "x"}),
    ("metadata", {"a": "grün"}),
    ("monitored_directories", []),
    ("monitored_directories", ["data"]),
    ("monitored_directories", ["/data/**"]),
    ("bucket", ""),
    ("bucket", "s3://runs"),
    ("bucket", "a/b"),
    ("remote_path", ""),
    ("remote_path", "s3://runs/x"),
    ("remote_path", "a/../b"),
    ("remote_path", "."),
    ("sample_regex", 1),
    ("sample_match", "some"),
    ("exclude_patterns", "Thumbnail"),
    ("exclude_patterns", [None]),
    ("instrument_ids", [" "]),
    ("completion_grace", -0.1),
    ("completion_markers", ["a/../b"]),
    ("completion_markers", ["a//b"]),
    ("completion_markers", ["**"]),
    ("upload_failed_runs", 1),
    ("slack_alert_webhook", "env:"),
    ("slack_alert_webhook", "file:relative"),
    ("slack_alert_webhook", "ftp://x"),
    ("metrics_file", "/var/lib/node_exporter/s3.txt"),
]
"""The reader may take these or not; the schema says the same."""


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_what_the_reader_takes_the_schema_takes(tmp_path: Path, key: str, value: Any) -> None:
    assert reader_takes(tmp_path / "c.json", document(key, value))
    TAKES.validate(document(key, value))


@pytest.mark.parametrize(("key", "value"), BAD)
def test_what_the_schema_refuses_the_reader_refuses(tmp_path: Path, key: str, value: Any) -> None:
    assert not reader_takes(tmp_path / "c.json", document(key, value))
    assert not TAKES.is_valid(document(key, value))


def test_webhooks_that_stand_elsewhere_are_taken_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK", "https://hooks.slack.com/services/x")
    secret = tmp_path / "slack"
    secret.write_text("https://hooks.slack.com/services/x")
    for value in ("env:SLACK_WEBHOOK", f"file:{secret}"):
        assert reader_takes(tmp_path / "c.json", document("slack_alert_webhook", value))
        TAKES.validate(document("slack_alert_webhook", value))


@pytest.mark.parametrize("missing", ["monitored_directories", "bucket", "remote_path"])
def test_a_section_without_a_required_key_is_refused_by_both(tmp_path: Path, missing: str) -> None:
    content = {"monitor": [{key: value for key, value in SECTION.items() if key != missing}]}
    assert not reader_takes(tmp_path / "c.json", content)
    assert not TAKES.is_valid(content)


def test_the_example_names_the_schema_and_is_valid_by_it() -> None:
    example = json.loads((ROOT / "example_config.json").read_text())
    TAKES.validate(example)
    assert (ROOT / example["$schema"]).resolve() == ROOT / "config.schema.json"


def test_the_published_schema_is_the_programs() -> None:
    published = (ROOT / "config.schema.json").read_text()
    assert published == schema_text(), "run: async-s3-upload config schema > config.schema.json"


def test_the_schema_is_a_schema_with_words_for_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    named = SCHEMA["properties"]["$schema"]["description"]
    assert named == "Address of this schema, for editors; it has no meaning here."
    section = SCHEMA["$defs"]["MonitorSection"]["properties"]
    assert list(section) == list(MonitorSection.model_fields)
    assert list(SCHEMA["properties"]) == ["$schema", *Config.model_fields]
    assert [key for key, said in {**section, **SCHEMA["properties"]}.items() if not said.get("description")] == []


def test_defaults_of_the_schema_are_valid_by_it() -> None:
    for place, said in ((MonitorSection, SCHEMA["$defs"]["MonitorSection"]), (Config, SCHEMA)):
        for key in place.model_fields:
            if "default" in said["properties"][key]:
                TAKES.validate(document(key, said["properties"][key]["default"]))
