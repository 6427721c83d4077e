"""``python -m benchmarks``: one command for each benchmark."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks import cluster, coordinator_limit, grid, live, peers, request_cost, scale, simulate_scale, smoke
from benchmarks.report import markdown, read_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="benchmark", required=True)
    grid.add_arguments(commands.add_parser("grid", help="upload over a grid of cores x concurrency"))
    scale.add_arguments(commands.add_parser("scale", help="time and memory for up to a million files"))
    peers.add_arguments(commands.add_parser("peers", help="compare with other uploaders"))
    live.add_arguments(commands.add_parser("live", help="upload a run while an instrument writes it"))
    shared = commands.add_parser("cluster", help="what the workers of a Dask cluster cost beside local ones")
    cluster.add_arguments(shared)
    limit = commands.add_parser("coordinator-limit", help="how many results a second the coordinator's process takes")
    coordinator_limit.add_arguments(limit)
    cost = commands.add_parser("request-cost", help="CPU of a worker for each request and each byte")
    request_cost.add_arguments(cost)
    simulate = commands.add_parser("simulate-scale", help="a model of up to 64 hosts: where each limit takes over")
    simulate_scale.add_arguments(simulate)
    table = commands.add_parser("table", help="print the Markdown tables of a comparison")
    table.add_argument("file", help="a JSON that `peers` wrote")
    commands.add_parser("smoke", help="tiny uploads whose counts are checked (for CI)")
    options = parser.parse_args(arguments)
    match options.benchmark:
        case "cluster":
            return cluster.run(options)
        case "coordinator-limit":
            return coordinator_limit.run(options)
        case "grid":
            return grid.run(options)
        case "live":
            return live.run(options)
        case "peers":
            return peers.run(options)
        case "request-cost":
            return request_cost.run(options)
        case "simulate-scale":
            return simulate_scale.run(options)
        case "scale":
            return scale.run(options)
        case "table":
            print(markdown(read_report(options.file)))
            return 0
    return smoke.run() or smoke.compare()


if __name__ == "__main__":
    sys.exit(main())
