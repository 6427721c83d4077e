"""Looks into wheel and sdist, for ``make dist``: what has to be in them is, what must not be is not."""

import re
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

from async_s3_upload import __version__

ROOT = Path(__file__).parents[2]
HOSTS = re.compile(r"https?://([^/\s\")>\]]+)")
KNOWN_HOSTS = {"keepachangelog.com", "semver.org"}
"""Hosts that the metadata may name; a private one would be anything else."""


def wheel_problems(path: Path) -> list[str]:
    """Return what is wrong with the wheel."""
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        about = f"async_s3_upload-{__version__}.dist-info"
        metadata = wheel.read(f"{about}/METADATA").decode()
    files = (file for file in (ROOT / "async_s3_upload").rglob("*") if file.is_file())
    package = {str(file.relative_to(ROOT)) for file in files if "__pycache__" not in file.parts}
    package |= {str(file.relative_to(ROOT)) for file in (ROOT / "async_s3_upload/notify/report_page").iterdir()}
    wanted = {*package, "async_s3_upload/py.typed", f"{about}/licenses/LICENSE", f"{about}/entry_points.txt"}
    problems = [f"the wheel lacks {name}" for name in sorted(wanted - names)]
    strays = {name for name in names - wanted if not name.startswith(about)}
    problems += [f"the wheel has {name}, which is none of its files" for name in sorted(strays)]
    return problems + metadata_problems(Parser().parsestr(metadata))


def metadata_problems(metadata: Message) -> list[str]:
    """Return what is wrong with the metadata."""
    wanted = {
        "Name": "async-s3-upload",
        "Version": __version__,
        "License-Expression": "MIT",
        "Requires-Python": ">=3.11",
    }
    problems = [f"{key} is {metadata[key]!r}" for key, value in wanted.items() if metadata[key] != value]
    unbound = [
        needed
        for needed in metadata.get_all("Requires-Dist", [])
        if "extra ==" not in needed and not (">=" in needed and "<" in needed)
    ]
    problems += [f"{needed} has no lower and upper bound" for needed in unbound]
    named = [line for line in metadata.get_all("Project-URL", []) if set(HOSTS.findall(line)) - KNOWN_HOSTS]
    return problems + [f"it names a host: {line}" for line in named]


def sdist_problems(path: Path) -> list[str]:
    """Return what is wrong with the sdist."""
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = [
        "LICENSE",
        "README.md",
        "config.schema.json",
        "example_config.json",
        "async_s3_upload/py.typed",
        "Makefile",
    ]
    wanted += [
        "packaging/systemd/async-s3-upload.service",
        "packaging/iam/monitor.json",
        "packaging/cluster/slurm.sbatch",
    ]
    strays = [name for name in sorted(names) if "__pycache__" in name or name.startswith((".venv", ".ci", ".git/"))]
    return [f"the sdist lacks {name}" for name in wanted if name not in names] + [
        f"the sdist has {name}" for name in strays
    ]


def main(folder: Path) -> int:
    """Print the problems and return the exit code."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    problems = wheel_problems(wheel) + sdist_problems(sdist)
    print("\n".join(problems) or f"{wheel.name} and {sdist.name}: what has to be in them is")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
