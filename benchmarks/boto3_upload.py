"""The older tool's way: a pool of processes, in each a pool of threads that call boto3's ``upload_file``.

It runs in the peers' environment: ``python boto3_upload.py FOLDER URL BUCKET PREFIX PROCESSES THREADS``. Files are
dealt out evenly beforehand; boto3 decides about parts (``TransferConfig``'s defaults) and checksums.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor


def upload_share(url: str, bucket: str, files: Sequence[tuple[str, str]], threads: int) -> int:
    """Upload some files with one client, ``threads`` at a time, and return how many; the first error is raised."""
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    session = boto3.session.Session(region_name=os.environ["AWS_REGION"])
    # As many connections as threads can use, each of them ten for a file in parts: else they wait for each other.
    client = session.client("s3", endpoint_url=url, config=Config(max_pool_connections=10 * threads))
    config = TransferConfig()
    with ThreadPoolExecutor(threads) as pool:
        done = [pool.submit(client.upload_file, path, bucket, key, Config=config) for path, key in files]
        for future in done:
            future.result()
    return len(done)


def main(arguments: Sequence[str]) -> int:
    """Send a folder; keys, region and trusted certificates are those of the environment."""
    folder, url, bucket, prefix = arguments[:4]
    processes, threads = map(int, arguments[4:])
    files = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            files.append((path, f"{prefix}/{os.path.relpath(path, folder)}"))
    with ProcessPoolExecutor(processes) as pool:
        shares = [
            pool.submit(upload_share, url, bucket, files[start::processes], threads) for start in range(processes)
        ]
        return 0 if sum(share.result() for share in shares) == len(files) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
