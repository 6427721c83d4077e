"""All faults of a config are told at once, each with its place, before any connection is tried."""

import json

import pytest

from .lab import Lab, tree

FAULTS = {
    "max_cores": "two",
    "max_threads": 0,
    "max_age": -1,
    "log_level": "LOUD",
    "log_dir": "relative/log",
    "slack_log_webhooks": "https://hooks.example/x",
    "checksum": "md5",
    "monitor": [
        {"monitored_directories": ["sequencer_1"], "bucket": 5, "remote_path": "/", "sample_regex": "(open"},
        {
            "monitored_directories": [],
            "remote_path": "/",
            "exclude_patterns": ["fine", "[open"],
            "sample_regexp": "x",
        },
    ],
}
PLACES = [
    "max_cores:",
    "max_threads:",
    "max_age:",
    "log_level:",
    "log_dir:",
    "slack_log_webhooks:",
    "checksum:",
    "monitor[0].monitored_directories[0]:",
    "monitor[0].bucket:",
    "monitor[0].sample_regex:",
    "monitor[1].monitored_directories:",
    "monitor[1].bucket:",
    "monitor[1].exclude_patterns[1]:",
    "monitor[1].sample_regexp:",
]


def test_all_faults_are_listed_at_once_with_their_places(moto_lab: Lab) -> None:
    config = moto_lab.folder / "config.json"
    config.write_text(json.dumps(FAULTS))
    before, proxy = tree(moto_lab.folder), moto_lab.behind()

    done = moto_lab.monitor(config, "--json")

    assert done.exit_code == done.json["exit_code"] == 2
    assert done.json["runs"] == []
    told = [line.strip() for line in done.stderr.splitlines()]
    for place in PLACES:
        assert len([line for line in told if line.startswith(place)]) == 1, (place, done.stderr)
    assert "Traceback" not in done.stderr
    assert proxy.seen == []
    assert moto_lab.slack.messages == []
    assert tree(moto_lab.folder) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ('{"monitor": [', "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "monitor: "),
        ('{"monitor": []}', "monitor: "),
    ],
    ids=["missing", "torn", "list", "empty", "no section"],
)
def test_a_config_that_is_none_is_one_sentence(moto_lab: Lab, text: str | None, told: str) -> None:
    config = moto_lab.folder / "config.json"
    if text is not None:
        config.write_text(text)

    done = moto_lab.monitor(config)

    assert done.exit_code == 2
    assert told in done.stderr
    assert str(config) in done.stderr
    assert done.stdout == ""


def test_no_excludes_and_numbers_as_levels_are_fine(moto_lab: Lab) -> None:
    bucket, run = moto_lab.bucket(), moto_lab.make_run()

    done = moto_lab.monitor(moto_lab.write_config(moto_lab.section(bucket, exclude_patterns=[]), log_level=30))

    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    moto_lab.assert_in_bucket(run, bucket, run.name)
