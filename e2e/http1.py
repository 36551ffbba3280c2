#!/usr/bin/env python3
"""HTTP/1 as attackers spell it, byte by byte, against the built binary.

    python3 e2e/http1.py --binary target/debug/portcullis [CASE ...]

Loopback only. Prints `N passed, N failed, N excepted`; the exit code is 1 when a case failed.
"""

import argparse
import sys

from wire import h1_answers, h1_bodies, h1_connection, h1_framing, h1_heads, h1_tools
from wire.cases import Tally, started

#: Cases that fail, and why that is borne. `name*` means all whose names begin so.
EXCEPTIONS = {
    "chunk NUL in an extension": "hyper skips an extension's octets but CR and LF; it is never forwarded",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("cases", nargs="*", help="run those whose name holds one of these")
    options = parser.parse_args()
    tally = Tally(EXCEPTIONS, options.cases)
    tables = [h1_framing.CASES, h1_heads.CASES, h1_bodies.CASES, h1_connection.CASES, h1_answers.CASES, h1_tools.CASES]
    with started(options.binary) as world:
        tally.run(world, [case for table in tables for case in table])
    with started(options.binary, timeouts__read=f"{h1_connection.READ_SECONDS}s") as world:
        tally.run(world, h1_connection.SLOW, at_once=8)
    if h1_tools.HAS_NGINX:
        with started(options.binary, via=h1_tools.nginx_upstream) as world:
            tally.run(world, h1_tools.BEHIND_NGINX)
    return tally.report()


if __name__ == "__main__":
    sys.exit(main())
