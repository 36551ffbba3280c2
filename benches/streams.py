"""Streams as users get them: the shipped models before a model that writes at a steady pace.

    python streams.py --binary target/release/portcullis --answers dev.jsonl.gz [--json OUT.json]

Answers are the ordinary responses of a JSON Lines file: harmless, and not authored to look like
harmful ones. Each event has one token, up to eight letters or a sign, which is about as byte-pair
tokenizers cut English; `--rate` tokens a second, with `--at-once` streams at a time. The upstream
and the clients are one process, so that each token's way is timed by one clock: from the write at
the upstream to the read at the client. Each round runs the same answers directly and through the
gate; what the gate adds is the difference.
"""

import argparse
import asyncio
import gzip
import itertools
import json
import random
import re
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

BEGIN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
UNSCREENED = re.compile(r"^portcullis_stream_unscreened_bytes_total\S* (\S+)", re.M)
TOKENS = re.compile(r"^portcullis_classifier_batch_tokens_sum\S* (\S+)", re.M)
TOKEN = re.compile(r"\s*(?:\w{1,8}|[^\w\s])")


class Upstream:
    """Writes the answer that the prompt names by number."""

    def __init__(self, answers, rate):
        self.answers, self.pause, self.sent = answers, 1 / rate, {}

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"content-length: *(\d+)", head, re.I)[1])
                body = json.loads(await reader.readexactly(length))
                await self.answer(body["messages"][-1]["content"], writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    async def answer(self, asked, writer):
        run, number = (int(part) for part in asked.split()[-2:])
        writer.write(BEGIN)
        due = time.perf_counter()
        times = self.sent.setdefault((run, number), [])
        for token in self.answers[number]:
            event = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "m",
                     "choices": [{"index": 0, "delta": {"content": token}, "finish_reason": None}]}
            times.append(time.perf_counter())
            write_event(writer, json.dumps(event))
            await writer.drain()
            due += self.pause
            await asyncio.sleep(max(0, due - time.perf_counter()))
        event["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        write_event(writer, json.dumps(event))
        write_event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def write_event(writer, data):
    event = f"data: {data}\n\n".encode()
    writer.write(b"%x\r\n%s\r\n" % (len(event), event))


async def read_answer(address, run, number):
    """When each token of one answer came, and its text."""
    reader, writer = await asyncio.open_connection(*address)
    body = json.dumps({"model": "m", "stream": True, "messages": [
        {"role": "user", "content": f"Please go on with answer {run} {number}"}]}).encode()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer k\r\n"
                 b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    times, text, buffer = [], [], b""
    await reader.readuntil(b"\r\n\r\n")
    while True:
        size = int((await reader.readline()).strip() or b"0", 16)
        if size == 0:
            break
        buffer += await reader.readexactly(size)
        now = time.perf_counter()
        await reader.readexactly(2)
        *events, buffer = buffer.split(b"\n\n")
        for event in events:
            if event.startswith(b"data: {"):
                choices = json.loads(event[6:])["choices"]
                token = choices[0]["delta"].get("content") if choices else None
                if token:
                    times.append(now)
                    text.append(token)
    writer.close()
    return times, "".join(text)


async def one_round(upstream, address, run, n_streams):
    numbers = range(len(upstream.answers))
    waiting = iter(numbers)
    found = {}

    async def client():
        for number in waiting:
            found[number] = await read_answer(address, run, number)

    await asyncio.gather(*(client() for _ in range(n_streams)))
    ways = {}
    for number in numbers:
        times, text = found[number]
        if text.startswith("".join(upstream.answers[number])):
            ways[number] = [(came - sent) * 1e3 for came, sent in zip(times, upstream.sent[run, number])]
    return ways


def figures(direct, gate):
    def at(values, share):
        return sorted(values)[min(len(values) - 1, int(share * len(values)))]

    # Answers that the gate touched say nothing of its pace: they are left out on both sides.
    first = [[ways[number][0] for number in gate] for ways in (gate, direct)]
    delays = [[way for number in gate for way in ways[number]] for ways in (gate, direct)]
    return {
        "ttft added p50 ms": at(first[0], 0.5) - at(first[1], 0.5),
        "ttft added p99 ms": at(first[0], 0.99) - at(first[1], 0.99),
        "token added mean ms": statistics.fmean(delays[0]) - statistics.fmean(delays[1]),
        "token added p99 ms": at(delays[0], 0.99) - at(delays[1], 0.99),
        "answers touched": 1 - len(gate) / len(direct),
    }


def answers_of(path, n, most, whole):
    """`n` answers of `most` tokens at most; with `whole` of just as many, put together of several."""
    opener = gzip.open if path.suffix == ".gz" else open
    found = []
    with opener(path, "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            is_ordinary = row["labels"].get("unsafe") == 0 and not row["source"].startswith("authored")
            tokens = TOKEN.findall(row["text"])[:most]
            if row.get("role") == "response" and is_ordinary and len(tokens) > 40:
                found.append(tokens)
    random.Random(0).shuffle(found)
    if whole:
        tokens = (token for answer in itertools.cycle(found) for token in answer)
        return [list(itertools.islice(tokens, most)) for _ in range(n)]
    return found[:n]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def metric(admin, pattern):
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=5) as page:
        return sum(float(value) for value in pattern.findall(page.read().decode()))


async def measure(options):
    answers = answers_of(options.answers, options.n, options.tokens, options.whole)
    upstream = Upstream(answers, options.rate)
    port, gate, admin = free_port(), free_port(), free_port()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", port)
    environment = {"PORTCULLIS_RECORD": "none"}
    command = [options.binary, "serve", "--upstream", f"http://127.0.0.1:{port}",
               "--listen", f"127.0.0.1:{gate}", "--admin", f"127.0.0.1:{admin}"]
    found = {}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            await ready(admin, process, log)
            for run, n_streams in enumerate(options.at_once):
                direct = await one_round(upstream, ("127.0.0.1", port), 2 * run, n_streams)
                tokens, unscreened = metric(admin, TOKENS), metric(admin, UNSCREENED)
                through = await one_round(upstream, ("127.0.0.1", gate), 2 * run + 1, n_streams)
                own = figures(direct, through)
                n_tokens = sum(map(len, answers))
                own["encoder tokens a token"] = (metric(admin, TOKENS) - tokens) / n_tokens
                own["unscreened bytes"] = metric(admin, UNSCREENED) - unscreened
                found[n_streams] = own
                shown = ", ".join(f"{name} {value:.3g}" for name, value in own.items())
                print(f"{n_streams} at once, {len(answers)} answers, {n_tokens} tokens: {shown}", flush=True)
        finally:
            process.terminate()
            process.wait()
    server.close()
    return found


async def ready(admin, process, log):
    for _ in range(600):
        if process.poll() is not None:
            log.seek(0)
            raise SystemExit(f"the gate did not start:\n{log.read().decode()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=1):
                return
        except OSError:
            await asyncio.sleep(0.05)
    raise SystemExit("the gate did not become ready")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--rate", type=float, default=60, help="tokens a second")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 30])
    parser.add_argument("--n", type=int, default=120, help="answers")
    parser.add_argument("--tokens", type=int, default=200, help="of an answer at most")
    parser.add_argument("--whole", action="store_true", help="answers of just so many tokens")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = asyncio.run(measure(options))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
