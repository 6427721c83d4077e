"""What Dask calls on its workers, by name: sessions are opened, shares come as tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from async_s3_upload.transfer.cluster.opening import Opening
from async_s3_upload.transfer.cluster.session import Session
from async_s3_upload.transfer.messages import Share

if TYPE_CHECKING:
    import distributed

_SESSIONS: dict[str, Session] = {}
"""By mailbox, each of which is of one session on one worker. Ended ones go when the next one is opened."""


async def open_session(opening: Opening, dask_worker: distributed.Worker) -> None:
    """Begin a session in this process; its first message is Ready, or CannotStart."""
    for name in [name for name, session in _SESSIONS.items() if session.ended]:
        del _SESSIONS[name]
    session = _SESSIONS[opening.mailbox] = Session(opening, dask_worker)
    session.open()


def nothing() -> None:
    """Do nothing: a task that shows that a thread of the Dask worker is free."""


def run_share(mailbox: str, share: Share, number: int) -> int:
    """Send the files of a share, the given ``number``: the Dask task, which ends when nothing of it is left to do here.

    It leaves the thread pool while the session's loop works, so that other tasks find their threads. What becomes of
    each file is told by the session as it happens. Returns the number of files that came.

    Raises:
        RuntimeError: there is no such session in this process, which took the place of one that had it.
    """
    session = _SESSIONS.get(mailbox)
    if session is None:
        raise RuntimeError("there is no session in its process")
    from distributed import secede

    settled = session.work_on(share, number)
    secede()
    settled.wait()
    return len(share.items)
