"""How many cores this process may use: affinity and cgroup quota, not the machine's count."""

from __future__ import annotations

import math
import os


def available_cores(cgroup_root: str = "/sys/fs/cgroup", own_cgroup: str = "/proc/self/cgroup") -> int:
    """Return the number of cores available to this process, at least 1."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        cores = os.cpu_count() or 1
    quota = _quota(cgroup_root, own_cgroup)
    return max(1, min(cores, math.ceil(quota))) if quota else max(1, cores)


def _quota(root: str, own_cgroup: str) -> float | None:
    """Smallest CPU quota (in cores) of this process's cgroup and those above it, v2 or v1."""
    quotas = []
    for folder in _folders(root, _own_path(own_cgroup)):
        text = _read(os.path.join(folder, "cpu.max"))
        if text is None:
            quota, period = _read(f"{folder}/cpu.cfs_quota_us"), _read(f"{folder}/cpu.cfs_period_us")
            text = f"{quota} {period}" if quota and period else ""
        cores = parse_quota(text)
        if cores:
            quotas.append(cores)
    return min(quotas, default=None)


def _own_path(own_cgroup: str) -> str:
    """Path of this process's cgroup below the mount, e.g. ``/system.slice/cron.service``."""
    for line in (_read(own_cgroup) or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" or "cpu" in controllers.split(","):
            return path
    return "/"


def _folders(root: str, path: str) -> list[str]:
    """Return the folders of the cgroup and those above it, of the v2 mount and of v1's own one for cpu."""
    found = []
    for folder in (root, os.path.join(root, "cpu")):
        found.append(folder)
        for part in path.strip("/").split("/"):
            folder = os.path.join(folder, part)
            found.append(folder)
    return found


def parse_quota(text: str | None) -> float | None:
    """Return the cores of ``"<quota> <period>"`` (microseconds); None where there is no limit or no sense."""
    try:
        quota, period = (int(number) for number in (text or "").split())
    except ValueError:  # "max 100000", or empty
        return None
    return quota / period if quota > 0 and period > 0 else None


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return None
