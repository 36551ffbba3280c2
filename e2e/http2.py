#!/usr/bin/env python3
"""HTTP/2 frame by frame, after RFC 9113, RFC 7541 and the names of h2spec, against the built binary.

    python3 e2e/http2.py --binary target/debug/portcullis [CASE ...]

Loopback only. Prints `N passed, N failed, N excepted`; the exit code is 1 when a case failed.
"""

import argparse
import sys

from wire import h2_floods, h2_frames, h2_messages
from wire.cases import Tally, started
from wire.h1_connection import READ_SECONDS

#: Cases that fail, and why that is borne. `name*` means all whose names begin so.
EXCEPTIONS = {
    "wrong size: *": "h2 names PROTOCOL_ERROR for FRAME_SIZE_ERROR; the connection ends all the same",
    "SETTINGS INITIAL_WINDOW_SIZE*": "h2 names PROTOCOL_ERROR for FLOW_CONTROL_ERROR; the connection ends all the same",
    "hpack error: *": "h2 names PROTOCOL_ERROR for COMPRESSION_ERROR; the connection ends all the same",
    "preface without SETTINGS": "h2 takes another first frame; nothing is gained by it",
    "HEADERS that depend on themselves": "h2 resets the stream without reading the head into its table, so the "
    "next head ends the connection: the client's own loss",
    "trailer with a pseudo field": "h2 lets it through; trailers go nowhere",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("cases", nargs="*", help="run those whose name holds one of these")
    options = parser.parse_args()
    tally = Tally(EXCEPTIONS, options.cases)
    with started(options.binary) as world:
        tally.run(world, [*h2_frames.CASES, *h2_messages.CASES, *h2_floods.CASES])
    with started(options.binary, timeouts__read=f"{READ_SECONDS}s") as world:
        tally.run(world, h2_floods.SLOW, at_once=8)
    return tally.report()


if __name__ == "__main__":
    sys.exit(main())
