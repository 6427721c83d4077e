"""What is told of runs on their way: small values, which are also the lines of ``--json-events``.

The docstrings are the descriptions in docs/events.schema.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Phase = Literal["looking", "sending", "verifying"]
"""Looking through the folder; sending; asking S3 what it holds."""

_DESCRIBED: dict[str, Any] = {"use_attribute_docstrings": True}


@dataclass(frozen=True, slots=True)
class RoundBegun:
    """A command began; the first event."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "round_begun"
    command: Literal["monitor", "upload"]
    """The command."""
    version: str
    """Version of the program."""
    dry_run: bool
    """Whether nothing will be changed; then round_ended is the only other event."""


@dataclass(frozen=True, slots=True)
class RunBegun:
    """A run's turn has come: its folder is looked through."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "run_begun"
    run: int
    """Number of the run within this command, from 1."""
    run_id: str
    """Name of the run folder."""
    run_path: str
    """Absolute path of the run folder."""
    bucket: str
    """Bucket it goes to."""
    prefix: str
    """Start of its keys, without a slash at the end."""
    reason: str
    """Why it goes up, a reason code as in --json."""
    in_progress: bool
    """Whether the instrument still writes it."""


@dataclass(frozen=True, slots=True)
class RunSending:
    """Files of a run are about to be sent. A run has several of these: data, files sent again, markers."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "run_sending"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""
    files: int
    """So many files."""
    bytes: int
    """Their size."""


@dataclass(frozen=True, slots=True)
class RunFileDone:
    """A file is in S3."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "file_done"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""
    file: str
    """Path of the file below the run folder."""
    size: int
    """Its size in bytes."""
    sent: int
    """Bytes sent for it now; fewer than its size where a part or all was in S3 before."""
    etag: str
    """ETag of the object."""
    crc64nvme: str | None
    """Checksum of the object in base64, null where none is computed."""


@dataclass(frozen=True, slots=True)
class RunFileChanged:
    """A file changed while it was sent; it is planned anew after the others, three times in all."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "file_changed"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""
    file: str
    """Path of the file below the run folder."""
    error: str
    """What was seen, a sentence."""


@dataclass(frozen=True, slots=True)
class RunFileFailed:
    """A file is not in S3, and is not tried again by this command, unless a later file_done tells otherwise."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "file_failed"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""
    file: str
    """Path of the file below the run folder."""
    error: str
    """Why, a sentence."""


@dataclass(frozen=True, slots=True)
class RunPartDone:
    """S3 accepted a part of a big file."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "part_done"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""
    file: str
    """Path of the file below the run folder."""
    part: int
    """Number of the part, from 1."""
    size: int
    """Its size in bytes."""


@dataclass(frozen=True, slots=True)
class RunVerifying:
    """All files but the markers are sent: S3 is asked what it holds."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "run_verifying"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""


@dataclass(frozen=True, slots=True)
class RunProgressed:
    """How far a run is; once a second for each run on its way."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "progress"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""
    phase: Phase
    """What is done with it now."""
    files_total: int
    """Files to send, as far as is known, without those that failed."""
    files_done: int
    """Files of these that are in S3."""
    files_failed: int
    """Files that failed."""
    bytes_total: int
    """Size of the files to send."""
    bytes_done: int
    """Bytes of these that are in S3, also where they were there before."""
    bytes_sent: int
    """Bytes sent by this command."""
    in_flight: int
    """Requests on their way now, of all runs together."""
    retries: int
    """Requests that were made once more since the command began, of all runs together."""


@dataclass(frozen=True, slots=True)
class RunEnded:
    """What became of a run; the fields are those of its row in --json."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "run_ended"
    run: int
    """Number of the run within this command."""
    run_id: str
    """Name of the run folder."""
    state: str
    """State of the run: uploaded, partial, in_progress or skipped."""
    reason: str
    """Reason code."""
    detail: str
    """The same as a sentence, empty where there is nothing to say."""
    files: int | None
    """Files in the run folder, null where it could not be looked into."""
    bytes: int | None
    """Their size."""
    uploaded_files: int
    """Files sent by this command."""
    sent_bytes: int
    """Bytes sent by this command."""
    failed_files: int
    """Files that could not be sent."""
    seconds: float
    """Time taken."""


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """A command ends; always the last event, also where it could not begin."""

    __pydantic_config__: ClassVar = _DESCRIBED
    event: ClassVar[str] = "round_ended"
    exit_code: int
    """Exit code of the command."""
    problems: list[str]
    """Sentences about what could not be looked at or reached."""
    runs: dict[str, int]
    """Number of runs by state, those that were skipped among them."""
    seconds: float
    """Time taken."""


FILE_EVENTS = (RunFileDone, RunPartDone)
"""Events of each file or part: made only where somebody wants them."""
WatchEvent = (
    RoundBegun
    | RunBegun
    | RunSending
    | RunFileDone
    | RunFileChanged
    | RunFileFailed
    | RunPartDone
    | RunVerifying
    | RunProgressed
    | RunEnded
    | RoundEnded
)
