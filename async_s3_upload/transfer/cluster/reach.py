"""Whether the scheduler of a Dask cluster answers, and which workers it has."""

from __future__ import annotations

import asyncio

from async_s3_upload.errors import ClusterError
from async_s3_upload.transfer.cluster.address import SchedulerAddress
from async_s3_upload.transfer.cluster.sentences import no_answer, no_certificates

ANSWER_LIMIT_S = 30.0


async def workers_of(scheduler: SchedulerAddress, limit_s: float = ANSWER_LIMIT_S) -> tuple[str, ...]:
    """Return the addresses of the workers that the scheduler has now.

    Raises:
        ClusterError: it does not answer within ``limit_s`` seconds, or it speaks TLS and we have no certificate.
    """
    address = scheduler.contact()
    from distributed.core import rpc  # not a client: one that cannot connect leaves coroutines behind
    from distributed.security import Security

    ours = Security().get_connection_args("client")
    if address.startswith("tls:") and ours.get("ssl_context") is None:
        raise ClusterError(no_certificates(address))
    try:
        async with asyncio.timeout(limit_s), rpc(address, timeout=limit_s, connection_args=ours) as asked:
            return tuple(sorted((await asked.identity(n_workers=-1))["workers"]))
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(no_answer(address, limit_s, str(error) or "no connection came about")) from error
