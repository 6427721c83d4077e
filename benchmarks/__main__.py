"""``python -m benchmarks``: one command for each benchmark."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks import grid, live, peers, scale, smoke
from benchmarks.report import markdown, read_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    grid.add_arguments(commands.add_parser("grid", help="upload over a grid of cores x concurrency"))
    scale.add_arguments(commands.add_parser("scale", help="time and memory for up to a million files"))
    peers.add_arguments(commands.add_parser("peers", help="compare with other uploaders"))
    live.add_arguments(commands.add_parser("live", help="upload a run while an instrument writes it"))
    table = commands.add_parser("table", help="print the Markdown tables of a comparison")
    table.add_argument("file", help="a JSON that `peers` wrote")
    commands.add_parser("smoke", help="tiny uploads whose counts are checked (for CI)")
    options = parser.parse_args(arguments)
    match options.benchmark:
        case "grid":
            return grid.run(options)
        case "live":
            return live.run(options)
        case "peers":
            return peers.run(options)
        case "scale":
            return scale.run(options)
        case "table":
            print(markdown(read_report(options.file)))
            return 0
    return smoke.run() or smoke.compare()


if __name__ == "__main__":
    sys.exit(main())
