"""Whatever the program says when something is wrong stands in a test; and what the documents quote is what it says."""

import re

from tests.support.messages import REPOSITORY, Message, is_told_in, messages_of, texts_of_program, texts_of_tests

NOT_PROVOKED = {
    "worker process {} cannot be killed, a file system may hang": "needs a process in uninterruptible sleep",
    "{} {} did not leave in time and were killed": "needs a worker that hangs in the kernel",
    "botocore sends requests in an unknown way": "needs another botocore than the one installed",
    "stale multipart uploads are not looked for: {}": "needs credentials that end between upload and sweep",
    "the demo needs an embedded S3 server: pip install 'async-s3-upload[demo]'": "needs an installation without moto",
    "its files are still being written although its marker is there: the marker waits": (
        "needs a writer that changes a file in each of the last looks"
    ),
    "a part of it is uploaded already": "stands in the row of a run only until the upload says more",
    "its run log is torn, nothing is known": "the same",
    "verify found differences": "the same",
    "nothing is known of it": "needs a run log that goes away while it is read",
    "the same folder as": "needs a folder that is mounted at two places",
    "nothing to do: `verify --deep` compares ETags there": "the same",
    "takes a CRC64NVME and does not keep it": "needs a server that takes a checksum and forgets it",
    "{}: the metrics file tells no number of runs": "needs a log folder that goes away during a round",
    "the run as a whole": "needs a failure of no file in the run log, which no version of the program writes now",
    "limit of the request": "a name, told to nobody",
    "%(asctime)s %(levelname)s %(message)s": "the layout of the log's lines",
}
"""The few that no test provokes, with the reason."""


def text_of(message: Message) -> str:
    return "{}".join(message.pieces).strip()


def test_every_message_stands_in_a_test() -> None:
    texts = texts_of_tests()
    lacking = [
        f"  {message.place}: {text_of(message)!r}"
        for message in messages_of()
        if text_of(message) not in NOT_PROVOKED and not is_told_in(message, texts)
    ]
    assert not lacking, (
        "These texts of the program stand in no test. Provoke each through the command or the function that says it, "
        "and assert its longest constant part (or at least half of it):\n" + "\n".join(lacking)
    )


def test_what_is_excused_is_still_said() -> None:
    assert set(NOT_PROVOKED) <= {text_of(message) for message in messages_of()}


def quotes(document: str) -> list[str]:
    """Return the messages in the first column of the tables of messages."""
    text = (REPOSITORY / document).read_text(encoding="utf-8")
    tables = re.findall(r"^\| message \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    return [quote for cell in cells for quote in re.findall(r"`([^`]+)`", cell)]


def test_the_messages_that_the_document_quotes_are_the_program_s() -> None:
    texts, found = texts_of_program(), quotes("docs/troubleshooting.md")
    assert len(found) >= 60
    assert [quote for quote in found if not all(part.strip(" ;:") in texts for part in quote.split("…"))] == []
