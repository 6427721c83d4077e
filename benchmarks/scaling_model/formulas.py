"""The model in closed formulas: what each limit alone would take, and so which one holds."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Literal

from benchmarks.scaling_model.site import HELD_BYTES, Group, Site, Workload

Limit = Literal["processors", "network cards", "latency", "storage", "S3's requests", "coordinator"]


def times(site: Site, group: Group) -> dict[Limit, float]:
    """Return the seconds that files of one size take if nothing else held them back, by limit.

    All are for steady work, without start and end; a partition is never split.
    """
    costs, requests, size = site.costs, group.files * group.requests, group.files * group.size
    return {
        "processors": (requests * costs.request + size * costs.byte) / site.all_workers,
        "network cards": size / (site.hosts * site.line),
        "latency": _waiting(site, group) / site.all_workers,
        "storage": size / site.storage,
        "S3's requests": requests / (site.partitions * site.partition_requests),
        "coordinator": group.files * coordinator_seconds(site, group),
    }


def _waiting(site: Site, group: Group) -> float:
    """Return for how long one worker alone would wait for the answers to a group's requests."""
    one = site.latency_s + group.request_bytes / site.connection
    most = max(group.requests, math.ceil(HELD_BYTES / group.request_bytes))
    return group.files * group.requests * one / min(site.in_flight, most)


def coordinator_seconds(site: Site, group: Group) -> float:
    """Return what one file costs the coordinator's process."""
    costs = site.costs
    if group.in_parts:
        return group.requests * costs.part + costs.result + costs.completion
    return costs.result


def seconds(site: Site, load: Workload) -> float:
    """Return about the least time that a workload can take.

    The biggest files go first, and each size has a limit of its own; what little they overlap is left out.
    """
    return sum(max(times(site, group).values()) for group in load.groups(site.part_size))


def bottleneck(site: Site, load: Workload) -> Limit:
    """Return what holds it back for most of the time."""
    spent: defaultdict[Limit, float] = defaultdict(float)
    for group in load.groups(site.part_size):
        limit, taken = max(times(site, group).items(), key=lambda item: item[1])
        spent[limit] += taken
    return max(spent, key=lambda limit: spent[limit])
