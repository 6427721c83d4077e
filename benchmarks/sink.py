"""A loop-back S3 that reads whole bodies, drops them and counts them: the other end of a benchmark.

It answers what uploaders ask, over HTTP or HTTPS, and only after the whole body has been read: a server
that answers early makes clients reconnect and falsifies the times. Signatures and checksums are not
checked. Its own CPU time is among its counts, so that a reader can tell how much of the machine the
measuring took. By hand: ``python -m benchmarks.sink --port 9000``.
"""

import argparse
import json
import signal
import socket
import sys
from types import FrameType

from benchmarks.certificates import server_context
from benchmarks.sink_answers import Sink
from benchmarks.sink_loop import Loop


def serve(port: int, *, latency_seconds: float = 0.0, certificate: str = "", until_stdin_closes: bool = False) -> None:
    """Serve on the loop-back address until SIGTERM, SIGINT or, if asked to, the end of the standard input.

    The first line on the standard output tells the port as JSON; port 0 takes a free one. With a
    ``certificate`` (a file with the chain and the key) it speaks TLS. Answers come ``latency_seconds`` late.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        loop = Loop(
            listener,
            Sink(),
            latency_seconds=latency_seconds,
            context=server_context(certificate) if certificate else None,
            stop_at=sys.stdin.fileno() if until_stdin_closes else None,  # it shall not outlive whoever started it
        )
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        loop.run()


def main(arguments: list[str] | None = None) -> int:
    """Run a sink as a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="each answer comes so late (default: 0)")
    parser.add_argument("--certificate", default="", help="PEM file with chain and key: speak TLS 1.3")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when the standard input does")
    options = parser.parse_args(arguments)
    serve(
        options.port,
        latency_seconds=options.latency_ms / 1000,
        certificate=options.certificate,
        until_stdin_closes=options.until_stdin_closes,
    )
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
