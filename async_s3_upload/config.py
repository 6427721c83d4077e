"""The config file of ``monitor``: read once, checked as a whole, frozen.

The keys are those of the replaced tool ``s3_upload`` with their meaning, and ours.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from async_s3_upload.config_json import load_json, without_schema
from async_s3_upload.config_problems import sentence
from async_s3_upload.config_values import (
    AbsolutePath,
    FilePattern,
    MonitoredPath,
    Regex,
    SerialNumber,
    Webhook,
    account_number,
    byte_count,
    empty_is_none,
    level_number,
    metrics_path,
    most_rate,
    none_is_empty,
    object_tags,
    user_metadata,
    window_rate,
    window_times,
    zero_is_none,
)
from async_s3_upload.destination import check_bucket_name, check_remote_path
from async_s3_upload.errors import ConfigError
from async_s3_upload.scheduler import check_scheduler
from async_s3_upload.text import printable
from async_s3_upload.timetable import Timetable, timetable_of

DEFAULT_LOG_DIR = "/var/log/s3_upload"
DEFAULT_MAX_AGE_HOURS = 72.0
DEFAULT_MIN_FILE_AGE_S = 300.0
KIB = 1024
MIB = 1024 * KIB
LEAST_MEMORY = 16 * MIB
"""What the largest single PUT takes."""

StorageClass = Literal[
    "STANDARD",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
    "OUTPOSTS",
    "SNOW",
    "EXPRESS_ONEZONE",
]
"""Values of x-amz-storage-class (AWS, PutObject)."""
CannedAcl = Literal[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
]
"""Values of x-amz-acl (AWS, PutObject)."""


class _Frozen(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        use_attribute_docstrings=True,
    )


class ObjectProperties(_Frozen):
    """Properties that objects get; given for all, a section's own come first."""

    storage_class: StorageClass | None = None
    """Storage class; unset: the bucket's default."""
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    """Encryption in S3; unset: the bucket's default."""
    kms_key_id: Annotated[str, Field(min_length=1)] | None = None
    """KMS key, with ``server_side_encryption`` of ``aws:kms``; unset: the account's default key."""
    acl: CannedAcl | None = None
    """Canned ACL; unset: none is sent."""
    expected_bucket_owner: Annotated[str, AfterValidator(account_number)] | None = None
    """Account number (12 digits) that the bucket has to belong to."""
    tags: Annotated[dict[str, str], AfterValidator(object_tags)] | None = None
    """Object tags, at most 10."""
    metadata: Annotated[dict[str, str], AfterValidator(user_metadata)] | None = None
    """User metadata (x-amz-meta-...)."""


class MonitorSection(ObjectProperties):
    """One entry of ``monitor``: where runs appear, which are wanted and where they go."""

    monitored_directories: Annotated[list[MonitoredPath], Field(min_length=1)]
    """Absolute paths of the folders whose immediate sub-folders are run folders; a part ``*`` is any folder there."""
    bucket: Annotated[str, AfterValidator(check_bucket_name)]
    """Name of the S3 bucket."""
    remote_path: Annotated[str, AfterValidator(check_remote_path)]
    """Start of the keys; ``/`` is the root of the bucket."""
    sample_regex: Annotated[Regex | None, BeforeValidator(empty_is_none)] = None
    """All samples of the sample sheet must match it (``re.search``), else the run is left."""
    exclude_patterns: Annotated[list[Regex], BeforeValidator(none_is_empty)] = []
    """Files whose full path one of these matches (``re.search``) are left out."""
    sample_match: Literal["all", "any"] = "all"
    """Whether all samples have to match ``sample_regex``, or any of them is enough."""
    run_regex: Annotated[Regex | None, BeforeValidator(empty_is_none)] = None
    """The run folder's name must match it (``re.search``), else the run is left."""
    instrument_ids: Annotated[list[SerialNumber], BeforeValidator(none_is_empty)] = []
    """Serial numbers of the instruments whose runs are wanted, in any case; empty: any."""
    completion: Literal["instrument", "any"] = "instrument"
    """When a run counts as complete: by its instrument's rule, or once any termination file is there."""
    completion_grace: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    """Minutes for which a sign that may not be the last one has to be there before it ends a run."""
    completion_markers: Annotated[list[FilePattern], BeforeValidator(none_is_empty)] = []
    """Names or shell patterns of files, relative to the run folder: any of them ends a run, and nothing else does."""
    run_markers: Annotated[list[FilePattern], BeforeValidator(none_is_empty)] = []
    """The same; any of them makes a folder a run folder, beside what is known of instruments."""
    upload_failed_runs: bool = False
    """Upload runs, too, of which the instrument says that they failed."""
    upload_in_progress: bool = False
    """Upload files of running runs, too, once they have been still for ``min_file_age``."""
    min_file_age: Annotated[float, Field(gt=0, allow_inf_nan=False)] = DEFAULT_MIN_FILE_AGE_S
    """Seconds since the mtime of a running run's file before it may go up."""
    manifest: bool = False
    """Send a manifest of the run, as a table and as JSON, before its termination files."""


class Config(ObjectProperties):
    """The whole config file."""

    max_cores: Annotated[int, Field(ge=1)] | None = None
    """Most worker processes; unset: all cores available to this process."""
    max_threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Requests in flight per worker process (the replaced tool's threads per core); unset: 16, and up to 128 where
    latency is the limit and more bring more."""
    dask_scheduler: Annotated[str, AfterValidator(check_scheduler)] | None = None
    """Scheduler of a Dask cluster whose workers send the files, as ``tcp://`` or ``tls://`` address or as path of its
    scheduler file; unset: worker processes of this machine."""
    max_age: Annotated[float, Field(gt=0, allow_inf_nan=False)] = DEFAULT_MAX_AGE_HOURS
    """Hours since the mtime of RunInfo.xml after which a new run is no longer started."""
    log_level: Annotated[int, BeforeValidator(level_number)] = logging.INFO
    """Level of console and log file, as a name or number."""
    log_dir: AbsolutePath = DEFAULT_LOG_DIR
    """Folder of ``s3_upload.log``, the lock and ``uploads/`` (the run logs)."""
    report_html: AbsolutePath | None = None
    """File of the report page, replaced after each round; unset: none is written."""
    slack_log_webhook: Annotated[Webhook, Field(repr=False)] = None
    """Told of successes; falls back on the other."""
    slack_alert_webhook: Annotated[Webhook, Field(repr=False)] = None
    """Told of failures; falls back on the other. Both: the address, or ``env:NAME`` or ``file:/path`` that hold it."""
    slack_style: Literal["compact", "rich"] = "compact"
    """Whether messages of success name runs only, or files, size, duration, rate and destination of each, too."""
    alert_repeat_hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 24.0
    """Hours after which trouble that goes on is told again."""
    metrics_file: Annotated[AbsolutePath | None, AfterValidator(metrics_path)] = None
    """Written in each round for the textfile collector of node_exporter; unset: none."""
    memory_per_core: Annotated[int, BeforeValidator(byte_count), Field(ge=LEAST_MEMORY)] = 64 * MIB
    """Most memory for file contents per worker process, as a number of bytes or as text such as ``"64 MiB"``."""
    part_size: Annotated[int, BeforeValidator(byte_count), Field(ge=5 * MIB)] = 8 * MIB
    """Size of the parts of big files, grown for files that would need more than 10,000; as ``memory_per_core``."""
    transport: Literal["lean", "aiobotocore"] = "lean"
    """What carries the bytes to S3: connections of our own, or aiobotocore, which is slower and takes more memory."""
    checksum: Literal["crc64nvme", "none"] = "crc64nvme"
    """Checksum sent with each object; ``none`` for servers that cannot take one."""
    verify_after_upload: bool = True
    """Compare what S3 lists with what was sent before a run counts as completed."""
    request_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """Seconds that a request may take, beside the time for its bytes at ``min_rate``."""
    min_rate: Annotated[int, Field(ge=KIB)] = 128 * KIB
    """Bytes per second that a request must reach before it counts as stalled and is tried again."""
    give_up_after_minutes: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """Stop for this time (exit 3) when nothing at all succeeded for so long."""
    max_minutes_per_tick: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 15.0
    """Minutes after which one ``monitor`` begins nothing more of running runs."""
    stalled_after: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, AfterValidator(zero_is_none)
    ] = 24.0
    """Hours without a new file after which a running run is reported as stalled; None (also given as 0): never."""
    rescan_completed_hours: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 24.0
    """Hours since a run was completed in which new and changed files of it still go up; 0: never."""
    max_bandwidth: Annotated[float | None, BeforeValidator(most_rate)] = None
    """Most bytes a second of all workers together, at times that no window of ``bandwidth_timetable`` covers."""
    bandwidth_timetable: Annotated[
        dict[str, Annotated[float | None, BeforeValidator(window_rate)]], AfterValidator(window_times)
    ] = {}
    """The same for times of the day, by the local clock."""
    abort_stale_uploads_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Abort multipart uploads under our prefixes that are older and that nothing will go on with; unset: never."""
    use_accelerate_endpoint: bool = False
    """Use S3 Transfer Acceleration."""
    use_dualstack_endpoint: bool = False
    """Use the IPv4 and IPv6 endpoints of S3."""
    addressing_style: Literal["auto", "path", "virtual"] | None = None
    """How the bucket stands in the address; unset: as ~/.aws/config says, else botocore's choice."""
    monitor: Annotated[list[MonitorSection], Field(min_length=1)]
    """At least one section."""

    @property
    def log_webhook(self) -> str | None:
        """Webhook for successes, or None."""
        return self.slack_log_webhook or self.slack_alert_webhook

    @property
    def alert_webhook(self) -> str | None:
        """Webhook for failures, or None."""
        return self.slack_alert_webhook or self.slack_log_webhook

    @property
    def bandwidth(self) -> Timetable | None:
        """Bytes a second by the time of the day, None where they are never limited."""
        return timetable_of(self.max_bandwidth, self.bandwidth_timetable)

    def object_properties(self, section: MonitorSection) -> ObjectProperties:
        """Return the properties for objects of a section: its own, else those given for all."""
        chosen = {}
        for name in ObjectProperties.model_fields:
            own = getattr(section, name)
            chosen[name] = getattr(self, name) if own is None else own
        return ObjectProperties.model_construct(**chosen)


def _known_keys(loc: Sequence[int | str]) -> Collection[str]:
    return (MonitorSection if loc[0] == "monitor" and len(loc) > 1 else Config).model_fields


def _contradictions(config: Config) -> Iterator[str]:
    for number, section in enumerate(config.monitor):
        if section.run_markers and not section.completion_markers:
            yield f"monitor[{number}].run_markers: needs completion_markers, which say when such a run has ended"
        if section.completion_markers and section.completion == "any":
            yield f'monitor[{number}].completion: "any" does not go with completion_markers'
        chosen = config.object_properties(section)
        if chosen.kms_key_id is not None and chosen.server_side_encryption not in ("aws:kms", "aws:kms:dsse"):
            where = "" if section.kms_key_id is None else f"monitor[{number}]."
            yield f'{where}kms_key_id: needs server_side_encryption "aws:kms" or "aws:kms:dsse"'
    if config.part_size > config.memory_per_core:
        yield "part_size: must not be more than memory_per_core"
    if config.use_accelerate_endpoint and config.addressing_style == "path":
        yield 'use_accelerate_endpoint: does not go with addressing_style "path"'


def read_config(path: str, environ: Mapping[str, str] | None = os.environ) -> Config:
    """Read and check the config file.

    Webhooks given as ``env:NAME`` or ``file:/path`` are looked up; with None for ``environ`` they are not, for who
    tells nobody.

    Raises:
        ConfigError: with all problems of the file at once.
    """
    data, problems = load_json(path)
    if data is not None:
        try:
            config = Config.model_validate(without_schema(data, problems), context={"environ": environ})
        except ValidationError as error:
            problems.extend(sentence(details, _known_keys) for details in error.errors(include_url=False))
        else:
            problems.extend(_contradictions(config))
            if not problems:
                return config
    raise ConfigError(printable(path) or '""', problems)
