"""Clients that give a server more work than they have, and clients that do nothing at all (RFC 9113, 10.5).

After each, the gate answers another client at once and has not grown.
"""

import select
import time

from checks import equal, expect

from .cases import Case
from .h1 import EVIL, GOOD, chat
from .h2 import (
    ASK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, MODELS, PING, PRIORITY, RST_STREAM,
    Connection, frame, rst, settings, window_update,
)  # fmt: skip
from .h1_connection import CUT_SECONDS, READ_SECONDS

MOST_MEMORY = 64
#: A flood that is cut, or taken in little time.
MOST_SECONDS = 6
#: What a flood of streams that were reset at once may still bring to the upstream.
MOST_FORWARDED = 300
#: Octets that are offered to a gate whose answers nobody reads.
FLOOD = 24 * 2**20


def flood(name, section, make, ends=False, forwards=False):
    """`make(connection)` yields pieces until the gate hangs up or all is sent. Answers are not read.

    `ends`: the gate must hang up. `forwards`: the upstream may get some of it, harmless all.
    """

    def run(world):
        mark, before, started = len(world.upstream.seen), world.memory(), time.monotonic()
        with Connection(world.address, patience=2) as connection:
            sent, cut = pour(connection, make(connection))
            # Another client is served meanwhile.
            with Connection(world.address) as other:
                other.lives()
            if ends and not cut:
                cut = ended(connection)
            seconds, grown = time.monotonic() - started, world.memory() - before
        expect(cut or not ends, f"{sent} octets were taken and the connection goes on")
        expect(seconds < MOST_SECONDS, f"it took {seconds:.1f} s")
        expect(grown < MOST_MEMORY, f"memory grew by {grown:.0f} MiB")
        bodies = [one.body for one in world.forwarded(mark)]
        expect(len(bodies) <= (MOST_FORWARDED if forwards else 0), f"{len(bodies)} requests reached the upstream")
        world.expected += bodies

    return Case(f"flood {name}", section, run)


def pour(connection, pieces):
    """Sends until the gate hangs up or takes no more; returns the octets sent and whether it hung up."""
    sent = 0
    for piece in pieces:
        view = memoryview(piece)
        while view:
            _, ready, _ = select.select([], [connection.socket], [], 1)
            if not ready:
                return sent, False  # it stopped reading, which bounds it too
            try:
                done = connection.socket.send(view)
            except OSError:
                return sent, True
            sent, view = sent + done, view[done:]
    return sent, False


def ended(connection):
    """Whether the gate says GOAWAY with an error, or ends the connection."""
    found = connection.until(lambda one: one.type == GOAWAY and one.error_code)
    return found is None or bool(found)


def in_batches(one, count, each=200):
    """`count` times what `one(number)` makes, joined."""
    for start in range(0, count, each):
        yield b"".join(one(number) for number in range(start, min(start + each, count)))


def stream_of(number):
    return 2 * number + 1


def times(piece, size=FLOOD):
    joined = piece * max(1, 65536 // len(piece))
    return (joined for _ in range(size // len(joined)))


def endless_head(connection, piece, size=FLOOD):
    yield frame(HEADERS, END_STREAM, 1, connection.block(MODELS))
    yield from times(frame(CONTINUATION, 0, 1, piece), size)


def behind(head, pieces):
    yield head
    yield from pieces


FLOODS = [
    flood("of streams that are reset at once", "CVE-2023-44487",
          lambda c: in_batches(lambda n: c.post(stream_of(n), GOOD) + rst(stream_of(n)), 2000), forwards=True),
    flood("of GET that are reset at once", "CVE-2023-44487",
          lambda c: in_batches(lambda n: c.headers(stream_of(n), MODELS) + rst(stream_of(n)), 2000)),
    # The client makes the gate reset the streams, so that no reset of its own is counted.
    flood("of streams that the gate must reset", "CVE-2025-8671",
          lambda c: in_batches(lambda n: c.headers(stream_of(n), ASK, END_HEADERS) + window_update(stream_of(n), 0), 2000),
          ends=True),
    flood("of streams that are malformed", "CVE-2025-8671",
          lambda c: in_batches(lambda n: c.headers(stream_of(n), [*MODELS, ("X", "1")]), 2000), ends=True),
    flood("of streams that never end", "RFC 9113 10.5",
          lambda c: in_batches(lambda n: c.headers(stream_of(n), ASK, END_HEADERS), 5000)),
    flood("of CONTINUATION", "VU#421644", lambda c: endless_head(c, b"\0\1a" + b"\x7f\0" + b"b" * 127), ends=True),
    flood("of large CONTINUATION", "VU#421644", lambda c: endless_head(c, b"\xbe" * 16000), ends=True),
    flood("of empty CONTINUATION", "VU#421644", lambda c: endless_head(c, b"", 2**20), ends=True),
    flood("of PING", "CVE-2019-9512", lambda _: times(frame(PING, 0, 0, b"12345678"))),
    flood("of SETTINGS", "CVE-2019-9515", lambda _: times(settings((4, 1000)))),
    flood("of empty SETTINGS", "CVE-2019-9515", lambda _: times(settings())),
    flood("of SETTINGS of many values", "CVE-2019-9515", lambda _: times(settings(*[(4, n) for n in range(2000)]))),
    flood("of PRIORITY", "CVE-2019-9513", lambda _: times(frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"))),
    flood("of PRIORITY of all streams", "CVE-2019-9513",
          lambda _: in_batches(lambda n: frame(PRIORITY, 0, stream_of(n), b"\0\0\0\0\x10"), 100_000, 5000)),
    flood("of WINDOW_UPDATE", "RFC 9113 10.5",
          lambda c: behind(c.headers(1, ASK, END_HEADERS), times(window_update(1, 1), 8 * 2**20))),
    flood("of empty DATA", "CVE-2019-9518",
          lambda c: behind(c.headers(1, ASK, END_HEADERS), times(frame(DATA, 0, 1), 8 * 2**20))),
    flood("of padded DATA without octets", "CVE-2019-9518",
          lambda c: behind(c.headers(1, ASK, END_HEADERS), times(frame(DATA, 8, 1, b"\xff" + b"\0" * 255), 8 * 2**20))),
    flood("of unknown frames", "RFC 9113 10.5", lambda _: times(frame(0x42, 0, 0, b"a" * 16000))),
    flood("of heads with empty fields", "CVE-2019-9516",
          lambda c: in_batches(lambda n: frame(HEADERS, END_HEADERS, stream_of(n), c.block(ASK) + b"\0\0\0" * 200), 300), ends=True),
    flood("of octets past a stream's window", "RFC 9113 6.9.1",
          lambda c: behind(c.headers(1, ASK, END_HEADERS), times(frame(DATA, 0, 1, b" " * 16000)))),
]  # fmt: skip


def answers_that_nobody_takes(world):
    """CVE-2019-9517: with a window of 0, answers wait in little memory, and end with their client."""
    mark, before = len(world.upstream.seen), world.memory()
    bodies = [chat(f"question {number}") for number in range(200)]
    with Connection(world.address, settings((4, 0))) as connection:
        connection.send(*[connection.post(stream_of(number), body) for number, body in enumerate(bodies)])
        heads = 0
        while heads < len(bodies):
            one = connection.next()
            expect(one, "the connection was ended")
            expect(one.type != DATA, "DATA in a window of 0")
            heads += one.type in (HEADERS, RST_STREAM)
        with Connection(world.address) as other:
            other.lives()
    expect(world.memory() - before < MOST_MEMORY, "memory grew")
    found = sorted(one.body for one in world.forwarded(mark))
    equal(found, sorted(bodies), "bodies at the upstream")
    world.expected += found


def evil_that_is_reset_at_once(world):
    """CVE-2023-44487: no hurry lets a prompt past the policy."""
    mark = len(world.upstream.seen)
    with Connection(world.address, patience=2) as connection:
        pour(connection, in_batches(lambda n: connection.post(stream_of(n), EVIL) + rst(stream_of(n)), 500))
    with Connection(world.address) as other:
        other.lives()
    world.expect_forwarded(mark, [])


ONE_BY_ONE = (answers_that_nobody_takes, evil_that_is_reset_at_once)
CASES = [*FLOODS, *[Case(one.__name__.replace("_", " "), one.__doc__.split(":")[0], one) for one in ONE_BY_ONE]]


def slow(name, frames, wanted, stream=1):
    """For the gate whose `timeouts.read` is short: what waits longer is answered or cut."""

    def run(world):
        started = time.monotonic()
        with Connection(world.address, b"", patience=CUT_SECONDS) as connection:
            connection.send(frames(connection))
            became = connection.becomes(stream)
        expect(became in wanted, f"it became {became!r}, wanted one of {sorted(wanted)}")
        seconds = time.monotonic() - started
        expect(seconds < CUT_SECONDS, f"after {seconds:.1f} s with timeouts.read {READ_SECONDS} s")

    return Case(f"slow {name}", "timeouts.read", run)


#: A head that never ends, and silence, are cut by the gate's own pings: 50 s, too long for here.
SLOW = [
    slow("body", lambda c: settings() + c.headers(1, ASK, END_HEADERS), {"answer 408"}),
    slow("body, begun", lambda c: settings() + c.headers(1, ASK, END_HEADERS) + frame(DATA, 0, 1, b"{"), {"answer 408"}),
    slow("body, after an unfinished one", lambda c: settings() + c.headers(3, ASK, END_HEADERS) + rst(3)
         + c.headers(5, ASK, END_HEADERS), {"answer 408"}, stream=5),
]  # fmt: skip
