"""A folder to S3 with obstore, as its documentation has it: ``put_async`` with some files in flight.

It runs in the peers' environment: ``python obstore_upload.py FOLDER URL BUCKET PREFIX FILES_IN_FLIGHT``. Multipart
uploads, their part size and how many parts go at once are obstore's defaults.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any


async def upload(store: Any, files: Iterator[tuple[str, str]], in_flight: int) -> None:
    """Put all files, ``in_flight`` at a time; the first error ends it."""
    from obstore import put_async

    async def consume() -> None:
        for path, key in files:
            await put_async(store, key, Path(path))

    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(consume())


def files_of(folder: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Yield each file's path and key."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            yield path, f"{prefix}/{os.path.relpath(path, folder)}"


def main(arguments: Sequence[str]) -> int:
    """Send a folder; keys, region and trusted certificates are those of the environment."""
    from obstore.store import S3Store

    folder, url, bucket, prefix, in_flight = arguments
    store = S3Store(
        bucket,
        endpoint=url,
        region=os.environ["AWS_REGION"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": url.startswith("http://")},
    )
    asyncio.run(upload(store, files_of(folder, prefix), int(in_flight)))
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # When the interpreter ends in the usual way while obstore's threads still run, it is aborted in one of three runs
    # (obstore 0.12, Python 3.11), though everything was uploaded. An error has been raised before this.
    os._exit(code)
