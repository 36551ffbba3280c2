#!/usr/bin/env python3
"""The npm packages of OpenAI, Anthropic, Vercel and LangChain, unmodified, against the built binary.

    npm ci --prefix e2e/node
    python3 e2e/node/run.py --binary target/debug/portcullis [CASE ...]

Starts the upstream and the gate of the Python cases, then `run.mjs` beside this file. Loopback
only, no key. Prints `N passed, N failed`; the exit code is 1 when a case failed.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import upstream  # noqa: E402
from checks import equal, expect, hides  # noqa: E402
from gate import CARD, CLAUSE, SECRET, Gate  # noqa: E402

#: Words of texts that people and models wrote in the cases; they must be in no log and no record.
CANARIES = [SECRET, "nightfall", CARD, "xylophone", "needs flour"]


def with_control(server):
    """Lets the cases write scripts of their own and see what arrived, on paths of the upstream.

    - ``POST /e2e/plays/NAME``  from now on the model NAME answers with the body: ``whole``, or
      ``events`` in SSE, each a string; ``cut`` breaks off in the middle, ``gzip`` compresses.
    - ``GET /e2e/seen/N``       the requests from the N-th on.
    - ``GET /e2e/ended/N``      waits for the end of the N-th; says whether it was cancelled.
    """
    plays = {}
    scripted = upstream.answer

    def answer(handler, seen):
        play = plays.get(seen.json["model"])
        return scripted(handler, seen) if play is None else perform(handler, seen, play)

    class Handler(server.server.RequestHandlerClass):
        def do_GET(self):
            if not self.path.startswith("/e2e/"):
                return super().do_GET()
            what, number = self.path.split("/")[2:]
            if what == "seen":
                return say(self, [facts(one) for one in server.seen[int(number) :]])
            one = server.seen[int(number)]
            return say(self, {"ended": one.ended.wait(5), "cancelled": one.cancelled})

        def do_POST(self):
            if not self.path.startswith("/e2e/plays/"):
                return super().do_POST()
            body = self.rfile.read(int(self.headers["content-length"]))
            plays[self.path.rpartition("/")[2]] = json.loads(body)
            return say(self, {})

    upstream.answer = answer
    server.server.RequestHandlerClass = Handler


def perform(handler, seen, play):
    script = "cut" if play.get("cut") else "play"
    if seen.json.get("stream"):
        events = [event.encode() for event in play["events"]]
        return upstream.answer_stream(handler, seen, script, events)
    if not play.get("gzip"):
        return upstream.answer_whole(handler, seen, play["whole"], cut=script == "cut")
    body = gzip.compress(json.dumps(play["whole"]).encode())
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-encoding", "gzip")
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def facts(seen):
    body = seen.body.decode()
    return {"path": seen.path, "headers": seen.headers, "body": body}


def say(handler, document):
    body = json.dumps(document).encode()
    handler.send_response(200)
    handler.send_header("content-length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def drive(url, gate, words):
    """Runs the cases of `run.mjs`; returns how many passed and failed, and the decisions seen."""
    world = {
        "upstream": url, "gate": gate.url, "secret": SECRET, "clause": CLAUSE, "card": CARD,
        "normal": upstream.NORMAL,
    }  # fmt: skip
    environment = {**os.environ, "E2E": json.dumps(world)}
    command = ["node", str(HERE / "run.mjs"), *words]
    counts, decisions = {"ok": 0, "FAIL": 0}, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as node:
        for line in node.stdout:
            word, _, rest = line.partition(" ")
            if word == "decision":
                decisions.append(rest.strip())
                continue
            print(line, end="", flush=True)
            if word in counts:
                counts[word] += 1
    wanted = 1 if counts["FAIL"] else 0
    if node.returncode != wanted or not any(counts.values()):
        counts["FAIL"] += 1
        print(f"FAIL  run.mjs ended with {node.returncode} after {sum(counts.values())} cases")
    return counts["ok"], counts["FAIL"], decisions


def no_byte_left_unscreened(gate, _):
    sample = "portcullis_stream_unscreened_bytes_total 0"
    expect(sample in gate.get("/metrics"), f"{sample} is not in /metrics")


def sigterm_ends_it_cleanly(gate, _):
    equal(gate.stop(), 0, "exit code after SIGTERM")


def every_decision_is_recorded_once(gate, decisions):
    recorded = [record["id"] for record in gate.records()]
    missing = [one for one in decisions if recorded.count(one) != 1]
    equal(missing, [], "decisions that are not recorded exactly once")
    expect(decisions, "no decision was seen at all")


def no_text_is_written(gate, _):
    hides(gate.written(), *CANARIES)


#: In this order: once the gate has ended, every record is written.
LAST = [
    no_byte_left_unscreened,
    sigterm_ends_it_cleanly,
    every_decision_is_recorded_once,
    no_text_is_written,
]


def run(server, gate, words):
    passed, failed, decisions = drive(server.url, gate, words)
    for case in LAST:
        try:
            case(gate, decisions)
            passed += 1
            print(f"ok    after_all.{case.__name__}")
        except AssertionError as error:
            failed += 1
            print(f"FAIL  after_all.{case.__name__}: {error}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("cases", nargs="*", help="run those whose name holds one of these")
    options = parser.parse_args()
    server = upstream.Upstream()
    with_control(server)
    with tempfile.TemporaryDirectory() as folder:
        gate = Gate(options.binary, server.url, folder)
        try:
            return run(server, gate, options.cases)
        finally:
            if gate.process.poll() is None:
                gate.stop()


if __name__ == "__main__":
    sys.exit(main())
