"""Finds out which workers of a cluster can do what is asked of them."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from async_s3_upload.transfer.cluster import check
from async_s3_upload.transfer.cluster.link import Link
from async_s3_upload.transfer.cluster.opening import Sample
from async_s3_upload.transfer.cluster.sentences import cannot_open
from async_s3_upload.transfer.messages import AwsAccess
from async_s3_upload.transfer.plan import Job

REMEMBERED = 8
"""So many jobs may be under way at a time; who joins is examined for each."""

Question = tuple[str, str]
"""A run folder and a bucket."""


class Examiner:
    """Asks workers whether they see the run folders of the jobs, and reach their buckets with their own credentials."""

    def __init__(self, link: Link, access: AwsAccess) -> None:
        """``access`` goes to the workers: without a secret in it."""
        self._link = link
        self._access = access
        self._samples: dict[Question, tuple[Sample, ...]] = {}

    async def note(self, job: Job) -> Question | None:
        """Remember a job; returns what has to be asked of the workers that are there, None if they were asked."""
        question = (job.root, job.bucket)
        if question in self._samples:
            return None
        self._samples[question] = await asyncio.to_thread(samples_of, job)
        while len(self._samples) > REMEMBERED:
            del self._samples[next(iter(self._samples))]
        return question

    async def trouble_with_newcomer(self, worker: str) -> str | None:
        """Return why a worker cannot be used for the jobs there are, as a sentence; None: it can.

        Raises:
            OSError: it cannot be asked.
        """
        trouble = await trouble_with_version(self._link, worker)
        for question in [] if trouble else list(self._samples):
            trouble = trouble or await self.trouble_with(worker, question)
        return trouble

    async def trouble_with(self, worker: str, question: Question) -> str | None:
        """Return why a worker cannot be used for one job, as a sentence; None: it can.

        Raises:
            OSError: it cannot be asked.
        """
        samples = self._samples.get(question, ())
        return as_trouble(await self._link.call(worker, check.examine, samples, (question[1],), self._access))


async def trouble_with_version(link: Link, worker: str) -> str | None:
    """Return whether a worker has another version of the package, or none, as a sentence; None: it has this one."""
    found = await link.call(worker, check.version)
    if isinstance(found, (ImportError, AttributeError)):  # older packages have no such function
        return check.trouble_with_version(None)
    return as_trouble(found) if isinstance(found, Exception) else check.trouble_with_version(found)


def as_trouble(found: Any) -> str | None:
    """Return the sentence that a function returned on a worker, or one about what it raised."""
    return cannot_open(str(found) or type(found).__name__) if isinstance(found, Exception) else found


def samples_of(job: Job) -> tuple[Sample, ...]:
    """Return files by which a worker is examined: the first and the last of the job that are as they were planned."""
    found = []
    for number in (0, len(job.items) - 1):
        item = job.items[number]
        try:
            state = os.stat(item.path)
        except OSError:
            continue
        if (state.st_size, state.st_mtime_ns, state.st_ino) == (item.size, item.mtime_ns, item.inode):
            found.append(Sample(item.path, item.size, item.mtime_ns, item.inode))
    return tuple(dict.fromkeys(found))
