"""The same shares on a Dask cluster: its workers in place of processes of this machine.

The only folder that knows Dask, and it is imported when it is used, never before: without a scheduler nothing of it is
needed. This module and ``address`` need no Dask.
"""

from __future__ import annotations

import importlib.util

from async_s3_upload.errors import UsageError


def require_dask(named: str) -> None:
    """Return if Dask is installed; ``named`` is the option or key that asks for it.

    Raises:
        UsageError: it is not.
    """
    try:
        found = importlib.util.find_spec("distributed")
    except ImportError:
        found = None
    if found is None:
        raise UsageError(f"{named} needs Dask: pip install 'async-s3-upload[cluster]'")
