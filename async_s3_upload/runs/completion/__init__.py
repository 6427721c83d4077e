"""Is a folder a sequencing run, and has the run ended?

Files that end a run are judged by presence, in any case, whatever is in them: real ones hold a date, one space, or
nothing.
"""

from async_s3_upload.runs.completion.look import look_at
from async_s3_upload.runs.completion.verdict import (
    DEFAULT,
    RUN_INFO,
    TERMINATION_FILES,
    CompletionRules,
    RunFolder,
    Verdict,
)

__all__ = ["DEFAULT", "RUN_INFO", "TERMINATION_FILES", "CompletionRules", "RunFolder", "Verdict", "look_at"]
