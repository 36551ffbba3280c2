#!/usr/bin/env python3
"""Ways round a guard against the built binary, each with a harmless twin.

    python3 e2e/evasion.py --binary target/debug/portcullis [--only SUBSTRING] [--list]

Standard library and loopback only. Prints a line for each case that fails, then how many ways there
are, how many passed the gate and how many twins it held up; the exit code is 1 unless both are 0.
"""

import argparse
import collections
import sys
import tempfile
import time

from evasion import cases
from evasion.case import BAD, GAP
from evasion.gate import Gate
from evasion.judge import judge
from evasion.upstream import Upstream


class World:
    def __init__(self, binary, folder):
        self.upstream = Upstream()
        self.gate = Gate(binary, self.upstream.url, folder)
        self.n_sent = 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary")
    parser.add_argument("--only", default="", help="run the cases whose name holds this")
    parser.add_argument("--list", action="store_true", help="print the names and their kind")
    options = parser.parse_args()
    chosen = [case for case in cases.every() if options.only in case.name]
    if options.list:
        for case in chosen:
            print(f"{case.expect:7} {case.name}" + (f" ({case.reason})" if case.reason else ""))
        return 0
    if not options.binary or not chosen:
        parser.error("name a binary, and cases that exist")
    with tempfile.TemporaryDirectory() as folder:
        world = World(options.binary, folder)
        try:
            return run(world, chosen)
        finally:
            world.gate.stop()


def run(world, chosen):
    started = time.monotonic()
    n_wrong = collections.Counter()
    for case in chosen:
        try:
            wrong = judge(world, case)
        except Exception as error:  # a case that breaks must not hide the others
            wrong = [(BAD, f"{type(error).__name__}: {error}")]
        if not world.gate.is_alive():
            print(f"FAIL  {case.name}: the gate died\n{world.gate.said()[-2000:]}")
            return 1
        n_wrong.update({half for half, _ in wrong})
        for half, what in wrong:
            print(f"FAIL  {case.name} [{'passed' if half == BAD else 'twin'}]: {what}", flush=True)
    if any(BAD.encode() in got.raw for got in world.upstream.taken()):
        print("FAIL  after all: a request of the last case arrived late")
        n_wrong[BAD] += 1
    n_gaps = sum(case.expect == GAP for case in chosen)
    n_passed, n_held = n_wrong[BAD], sum(n_wrong.values()) - n_wrong[BAD]
    print(
        f"{len(chosen) - n_gaps} ways, {n_passed} pass (must be 0), {n_held} twins held up (must be 0)"
    )
    print(f"{n_gaps} known gaps, {time.monotonic() - started:.0f} s")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
