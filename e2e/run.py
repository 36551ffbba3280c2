#!/usr/bin/env python3
"""Real clients against the built binary: the PyPI SDKs of OpenAI and Anthropic, unmodified.

    python3 e2e/run.py --binary target/debug/portcullis [--metrics-out FILE] [CASE ...]

Needs the packages of requirements.txt. Loopback only, no key. Prints `N passed, N failed`; the
exit code is 1 when a case failed.
"""

import argparse
import sys
import tempfile
import time
import traceback

import cases_anthropic
import cases_openai
from checks import equal, expect, hides
from gate import CARD, SECRET, Gate
from upstream import Upstream

#: A word of every text that people and models wrote here; it must be in no log and no record.
CANARIES = [SECRET, "nightfall", CARD, "xylophone", "needs flour"]


class World:
    """What a case works with."""

    def __init__(self, binary, folder):
        self.upstream = Upstream()
        self.gate = Gate(binary, self.upstream.url, folder)
        #: Ids that answers named; each must be in the records exactly once.
        self.decisions = []

    def forwarded(self, call):
        """Runs `call`; returns its result and the requests that reached the upstream."""
        before = len(self.upstream.seen)
        result = call()
        return result, self.upstream.seen[before:]


def every_decision_is_recorded_once(world):
    # A record is written when the last byte has left, a moment after the client has it.
    deadline = time.monotonic() + 5
    while True:
        recorded = [record["id"] for record in world.gate.records()]
        missing = [one for one in world.decisions if recorded.count(one) != 1]
        if not missing or deadline < time.monotonic():
            break
        time.sleep(0.05)
    equal(missing, [], "decisions that are not recorded exactly once")
    expect(world.decisions, "no decision was seen at all")


def no_text_is_written(world):
    hides(world.gate.written(), *CANARIES)


def metrics_count_what_happened(world):
    page = world.gate.get("/metrics")
    for sample in (
        'portcullis_requests_total{action="block",dialect="openai',
        'portcullis_requests_total{action="block",dialect="anthropic',
        'portcullis_commands_total{command="reset_ai"',
        "portcullis_upstream_errors_total{",
        "portcullis_stream_unscreened_bytes_total 0",
    ):
        expect(sample in page, f"{sample} is not in /metrics")
    hides(page, *CANARIES)


def sigterm_ends_it_cleanly(world):
    equal(world.gate.stop(), 0, "exit code after SIGTERM")


LAST = [
    every_decision_is_recorded_once,
    no_text_is_written,
    metrics_count_what_happened,
    sigterm_ends_it_cleanly,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--metrics-out", help="write a scrape of /metrics here at the end")
    parser.add_argument("cases", nargs="*", help="run those whose name holds one of these")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        world = World(options.binary, folder)
        try:
            return run(world, options)
        finally:
            if world.gate.process.poll() is None:
                world.gate.stop()


def run(world, options):
    cases = [*cases_openai.CASES, *cases_anthropic.CASES]
    cases += [cases_openai.upstream_down, cases_anthropic.upstream_down, *LAST]
    if options.cases:
        cases = [case for case in cases if any(part in name(case) for part in options.cases)]
    passed, failed = 0, 0
    for case in cases:
        if case is sigterm_ends_it_cleanly and options.metrics_out:
            with open(options.metrics_out, "w") as file:
                file.write(world.gate.get("/metrics"))
        try:
            case(world)
            passed += 1
            print(f"ok    {name(case)}")
        except Exception as error:  # a case that fails must not hide the others
            failed += 1
            print(f"FAIL  {name(case)}: {type(error).__name__}: {error}")
            if not isinstance(error, AssertionError):
                traceback.print_exc(limit=-4)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def name(case):
    module = case.__module__.removeprefix("cases_")
    return f"{'after_all' if module == '__main__' else module}.{case.__name__}"


if __name__ == "__main__":
    sys.exit(main())
