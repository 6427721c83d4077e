"""What the documents say is what the code does: they are compared, word for word where that is possible."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from async_s3_upload.cli.config_check.findings import Check
from async_s3_upload.cli.status.command import Status
from async_s3_upload.config import read_config
from async_s3_upload.errors import EXIT_CODES
from async_s3_upload.runs.selection import Reason
from async_s3_upload.state.overview import RunSummary, State
from async_s3_upload.state.run_log import FileRecord, RunLog
from tests.support import config_tables

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    *(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/**/*.md")),
]


COMMANDS = "docs/commands.md"


def section(document: str, title: str) -> list[str]:
    """Lines of the document's section of that title, code blocks included."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no section {title!r}"
    return found[1].splitlines()


def tables(document: str, title: str) -> list[list[list[str]]]:
    """Tables of a section: rows of cells, without header rows and backticks around cells."""
    found: list[list[list[str]]] = []
    inside = False
    for line in section(document, title):
        is_row = line.startswith("|")
        if is_row and not inside:
            found.append([])
        if is_row:
            found[-1].append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
        inside = is_row
    return [rows[2:] for rows in found]


def first_column(rows: list[list[str]]) -> list[str]:
    return [row[0].strip("| `") for row in rows]


def test_tables_of_the_config_are_those_of_the_models() -> None:
    text = config_tables.DOCUMENT.read_text(encoding="utf-8")
    assert config_tables.with_tables(text) == text, "python -m tests.support.config_tables writes them anew"


def test_a_key_without_a_row_gets_one_from_the_model() -> None:
    text = config_tables.DOCUMENT.read_text(encoding="utf-8")
    without = re.sub(r"^\| `(?:min_rate|completion_grace|bucket)` .*\n", "", text, flags=re.MULTILINE)
    made = config_tables.with_tables(without)
    assert (
        "| `min_rate` | whole number, 1024 or more | 131072 | Bytes per second that a request must reach before it"
        " counts as stalled and is tried again. |\n" in made
    )
    assert "| `bucket` | text | required | Name of the S3 bucket. |\n" in made
    assert made.index("`completion`") < made.index("`completion_grace`") < made.index("`completion_markers`")


def test_a_row_keeps_what_it_says_and_not_a_wrong_type_or_default() -> None:
    text = config_tables.DOCUMENT.read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| `alert_repeat_hours` \| number, more than 0 \| 24 \| .*$", text, re.MULTILINE)
    assert config_tables.with_tables(text.replace(row, row.replace("more than 0 | 24", "0 or more | 12"))) == text
    assert "trouble that never ends" in config_tables.with_tables(
        text.replace(row, row[:-1] + "trouble that never ends |")
    )


def test_config_check_table_names_exactly_what_is_looked_at() -> None:
    (rows,) = tables(COMMANDS, "config check")
    assert [name for row in rows for name in re.findall(r"\w+", row[0])] == list(get_args(Check))


def test_exit_code_table_is_that_of_the_program() -> None:
    (rows,) = tables(COMMANDS, "Exit codes")
    assert {int(row[0].strip("| ")): row[1].strip("| ") for row in rows} == EXIT_CODES


def test_reason_codes_are_those_of_the_program() -> None:
    (rows,) = tables(COMMANDS, "JSON output")
    assert first_column(rows) == list(get_args(Reason))


def test_json_example_has_a_reason_and_an_exit_code_of_the_program() -> None:
    block = re.search(r"```json\n(.*?)```", "\n".join(section(COMMANDS, "JSON output")), re.DOTALL)
    assert block
    example = json.loads(block[1])
    assert example["exit_code"] in EXIT_CODES
    assert all(run["reason"] in get_args(Reason) for run in example["runs"])


def test_run_log_table_names_exactly_the_fields_that_are_written() -> None:
    log = RunLog("run", "/runs/run", files={"RunInfo.xml": FileRecord("etag", 1, 2, "crc", "now")})
    _, rows = tables(COMMANDS, "Logs and state")
    assert first_column(rows) == list(json.loads("".join(log.as_text())))


def test_status_tables_are_those_of_the_program() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    options, states, keys = tables(COMMANDS, "status")
    run = RunSummary("run", "partial", "-", "/l", "/j", "/m")
    (written,) = json.loads(Status("/log", now, [run], None, [], detailed=True).as_json())["runs"]
    assert first_column(keys) == list(written)
    assert set(first_column(states)) == set(get_args(State))
    names = {option.split()[0] for option in first_column(options)}
    assert names == {"RUN_ID", "--config", "--log-dir", "--state", "--days", "--json"}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_readme_leads_to_every_document() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in ROOT.glob("docs/*.md") if f"(docs/{path.name}" not in text] == []


@pytest.mark.parametrize(
    "config",
    [
        re.sub(r"\$PWD", "/tmp", block)
        for name in ("README.md", "docs/configuration.md")
        for block in re.findall(
            r"^\{\n    .*?^\}$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        )
    ],
)
def test_configs_in_the_documents_are_configs(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    assert read_config(str(tmp_path / "config.json")).monitor


def test_example_config_is_a_config() -> None:
    config = read_config(str(ROOT / "example_config.json"))
    assert len(config.monitor) == 2


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_to_files_and_headings_that_exist(document: str) -> None:
    source = ROOT / document
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", source.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = (source.parent / name).resolve() if name else source
        if not file.is_file() or (anchor and anchor not in anchors(file)):
            missing.append(target)
    assert not missing


def anchors(file: Path) -> set[str]:
    """Anchors that the headings of a document get."""
    headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_dockerfile_runs_the_command_as_a_user_without_rights() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    last_stage = lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")) :]
    users = [line.split()[1] for line in last_stage if line.startswith("USER ")]
    assert users
    assert users[-1].split(":")[0] not in ("root", "0")
    assert 'ENTRYPOINT ["tini", "--", "async-s3-upload"]' in last_stage


def test_dockerfile_copies_only_what_dockerignore_lets_through() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    let_through = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    }
    assert {name for names in copied for name in names.split()} == let_through
    assert all((ROOT / name).exists() for name in let_through)
