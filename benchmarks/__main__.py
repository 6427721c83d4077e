"""``python -m benchmarks``: one command for each benchmark."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks import grid, scale, smoke


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    grid.add_arguments(commands.add_parser("grid", help="upload over a grid of cores x concurrency"))
    scale.add_arguments(commands.add_parser("scale", help="time and memory for up to a million files"))
    commands.add_parser("smoke", help="a tiny upload whose counts are checked (for CI)")
    options = parser.parse_args(arguments)
    if options.benchmark == "scale":
        return scale.run(options)
    return grid.run(options) if options.benchmark == "grid" else smoke.run()


if __name__ == "__main__":
    sys.exit(main())
