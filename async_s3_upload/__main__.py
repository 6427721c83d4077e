"""Entry point of ``async-s3-upload`` and ``python -m async_s3_upload``.

Worker processes import this module too: it must stay this small.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # imports, and a run's files, make many objects that stay: looking through them for cycles each 700 costs some 5 %
    gc.set_threshold(50_000)
    from async_s3_upload.cli.main import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
