"""Runs async-s3-upload here, with workers that are Slurm jobs; they end with it.

    python slurm_jobqueue.py monitor --config /etc/async-s3-upload/config.json

Needs dask-jobqueue in the environment of the program, and certificates (certificates.sh) in a folder of the shared
home. Partition, account and sizes are this site's: change them.
"""

import os
import subprocess
import sys

from dask_jobqueue import SLURMCluster
from distributed.security import Security

JOBS = 4
BIN = os.path.dirname(sys.executable)
CERTIFICATES = os.path.expanduser("~/.s3-upload-dask")


def main() -> int:
    """Return the exit code of the command."""
    authority, own = os.path.join(CERTIFICATES, "ca.pem"), os.path.join(CERTIFICATES, "dask.pem")
    sides = ("scheduler", "worker", "client")
    names = {f"tls_{side}_{what}": own for side in sides for what in ("cert", "key")}
    with SLURMCluster(
        queue="transfer",
        account="sequencing",
        walltime="24:00:00",
        cores=4,
        processes=4,  # one thread each
        memory="4GiB",
        python=sys.executable,
        local_directory="/tmp",
        log_directory=os.path.expanduser("~/s3-upload-slurm"),
        job_extra_directives=["--signal=TERM@120"],
        worker_extra_args=["--no-dashboard"],
        scheduler_options={"dashboard": False},
        security=Security(tls_ca_file=authority, require_encryption=True, **names),
    ) as cluster:
        cluster.scale(jobs=JOBS)  # not adapt(): work is handed to workers that are there
        cluster.wait_for_workers(1, timeout=3600)
        command = [os.path.join(BIN, "async-s3-upload"), *sys.argv[1:], "--scheduler", cluster.scheduler_address]
        known = {
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": authority,
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": own,
        }
        return subprocess.call(command, env={**os.environ, **known})


if __name__ == "__main__":
    sys.exit(main())
