"""Conversations that resend their history: what the caches save with the shipped models.

    python history.py --binary target/release/portcullis --texts dev.jsonl.gz

Once with an agent's prompt of some 30,000 tokens that was seen before, plus one new turn; once with
a chat of ten turns, each of which resends all before it, under one key (the caches know the turns)
and under a new key for each request (they know none). The policy is `observe`, so that no text is
refused; the upstream answers at once.
"""

import argparse
import asyncio
import gzip
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from streams import Upstream, free_port, ready

#: Characters to a token, about.
TOKEN = 4


def texts_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows if row["labels"].get("unsafe") == 0 and row["lang"] == "en"]


def turns_of(texts, n_tokens, each):
    """Turns of whole texts, each of `each` tokens or little more, `n_tokens` together, user and
    assistant by turns."""
    joined, turns = iter(texts), []
    while len(turns) * each < n_tokens:
        turn = next(joined)
        while len(turn) < each * TOKEN:
            turn += " " + next(joined)
        role = "assistant" if len(turns) % 2 else "user"
        turns.append({"role": role, "content": turn})
    return turns


async def ask(address, turns, key):
    """Seconds until the answer has ended."""
    messages = [*turns, {"role": "user", "content": "Please go on with answer 0 0"}]
    body = json.dumps({"model": "m", "stream": True, "messages": messages}).encode()
    reader, writer = await asyncio.open_connection(*address)
    started = time.perf_counter()
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\n"
                 b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                 % (key.encode(), len(body), body))
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise SystemExit(f"refused: {head.decode()} {(await reader.read(2000)).decode()}")
    await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    return time.perf_counter() - started


async def agent(address, texts):
    turns = turns_of(texts, 30_000, 500)
    first = await ask(address, turns, "agent")
    later = []
    for new in turns_of(texts[len(texts) // 2 :], 10 * 100, 100):
        turns = [*turns, new]
        later.append(await ask(address, turns, "agent"))
    return first, later


async def chat(address, texts, n_chats, key):
    started = time.perf_counter()
    for number in range(n_chats):
        turns = turns_of(texts[number * 40 :], 20 * 60, 60)
        for n_turns in range(1, len(turns), 2):
            await ask(address, turns[:n_turns], key(number, n_turns))
    return time.perf_counter() - started


async def measure(options):
    texts = texts_of(options.texts)
    upstream = Upstream([["ok"]], 1e6)
    port, gate, admin = free_port(), free_port(), free_port()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", port, limit=1 << 22)
    environment = {"PORTCULLIS_RECORD": "none", "PORTCULLIS_POLICY": "observe"}
    command = [options.binary, "serve", "--upstream", f"http://127.0.0.1:{port}",
               "--listen", f"127.0.0.1:{gate}", "--admin", f"127.0.0.1:{admin}"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            await ready(admin, process, log)
            direct, through = ("127.0.0.1", port), ("127.0.0.1", gate)
            _, plain = await agent(direct, texts)
            first, later = await agent(through, texts)
            added = (statistics.median(later) - statistics.median(plain)) * 1e3
            print(f"agent prompt of 30,000 tokens: new {first * 1e3:.0f} ms, "
                  f"seen before plus one turn {added:.1f} ms added (median of {len(later)})")
            own = await chat(through, texts, options.chats, lambda number, _: f"k{number}")
            none = await chat(through, texts, options.chats, lambda *at: f"n{at}")
            bare = await chat(direct, texts, options.chats, lambda *_: "d")
            print(f"{options.chats} chats of ten turns: {own:.2f} s with the caches, {none:.2f} s "
                  f"without, {bare:.2f} s directly: {(none - bare) / (own - bare):.1f} times")
        finally:
            process.terminate()
            process.wait()
    server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--chats", type=int, default=20)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
