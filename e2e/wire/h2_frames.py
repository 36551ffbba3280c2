"""Frames, streams, settings and windows (RFC 9113, 3 to 7): the cases that h2spec names, and some more."""

import struct

from checks import equal, expect

from .cases import Case
from .h1 import GOOD, read_to_end
from .h2 import (
    ACK, ANSWERED, ASK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, LARGEST, MALFORMED, MODELS,
    PADDED, PING, PREFACE, PRIORITY, PROTOCOL, PUSH_PROMISE, RST_STREAM, SETTINGS, SIZE, WINDOW_UPDATE, WITH_PRIORITY,
    Connection, case, connection_error, frame, rst, settings, stream_error, window_update,
)  # fmt: skip

CLOSED = stream_error("STREAM_CLOSED") | PROTOCOL
FLOW = connection_error("FLOW_CONTROL_ERROR")


def then_models(*frames, stream=1):
    """What must be ignored, and a request that must then be answered."""
    return lambda c: b"".join(frames) + c.headers(stream, MODELS)


def after_models(make):
    """Frames behind a whole request."""
    return lambda c: c.headers(1, MODELS) + make(c)


def ignored(name, section, *frames):
    return case(name, section, then_models(*frames), ANSWERED)


def refused(name, section, allow, *frames):
    return case(name, section, lambda _: b"".join(frames), allow)


def preface(name, data, frames_first):
    """RFC 9113 3.4: SETTINGS comes first, or the connection ends without a frame of an answer."""

    def run(world):
        with Connection(world.address, b"", preface=data) as connection:
            if frames_first:
                equal(connection.next().type, SETTINGS, "type of the first frame")
                equal(connection.frames[0].flags, set(), "its flags")
                return
            got = read_to_end(connection.socket)
            expect(not got or got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505")) or got[3:4] in b"\4\7", f"{got!r}")

    return Case(f"preface {name}", "RFC 9113 3.4", run)


STARTS = [
    preface("good", PREFACE + settings(), True),
    preface("with a wrong end", PREFACE[:-6] + b"XX\r\n\r\n" + settings(), False),
    preface("in lower case", PREFACE.lower() + settings(), False),
    preface("of HTTP/2.1", PREFACE.replace(b"2.0", b"2.1") + settings(), False),
    preface("of nonsense", b"INVALID CONNECTION PREFACE\r\n\r\n", False),
    case("preface without SETTINGS", "9113 3.4", lambda c: c.headers(1, MODELS), PROTOCOL, first=b""),
]

FORMAT = [
    ignored("unknown frame type", "9113 4.1", frame(0x16, 0, 0, b"any"), frame(0xFF, 0xFF, 1, b"any")),
    ignored("undefined flags", "9113 4.1", frame(PING, 0xFE, 0, b"12345678")),
    ignored("reserved bit", "9113 4.1", frame(PING, 0, 2**31, b"12345678")),
    case("DATA of the largest size", "9113 4.2",
         lambda c: c.headers(1, ASK, END_HEADERS) + frame(DATA, END_STREAM, 1, GOOD.ljust(LARGEST)), ANSWERED,
         upstream=[GOOD.ljust(LARGEST)]),
    case("DATA larger than that", "9113 4.2",
         lambda c: c.headers(1, ASK, END_HEADERS) + frame(DATA, END_STREAM, 1, GOOD.ljust(LARGEST + 1)),
         stream_error("FRAME_SIZE_ERROR")),
    case("HEADERS larger than that", "9113 4.2",
         lambda c: frame(HEADERS, END_STREAM | END_HEADERS, 1, c.block(MODELS).ljust(LARGEST + 1, b"\0")), SIZE),
    refused("unknown frame larger than that", "9113 4.2", SIZE, frame(0x16, 0, 0, b"a" * (LARGEST + 1))),
    refused("frame of 2^24 - 1", "9113 4.2", SIZE, frame(DATA, 0, 1, b"", 2**24 - 1)),
    *[
        refused(f"wrong size: {name} of {size} octets", "9113 4.2", allow, frame(kind, 0, stream, b"\0" * size))
        for name, kind, stream, sizes, allow in (
            ("PING", PING, 0, (0, 7, 9), SIZE), ("SETTINGS", SETTINGS, 0, (1, 5, 7), SIZE),
            ("WINDOW_UPDATE", WINDOW_UPDATE, 0, (0, 3, 5), SIZE), ("GOAWAY", GOAWAY, 0, (0, 7), SIZE),
        )
        for size in sizes
    ],
    *[
        case(f"wrong size: {name} of {size} octets", "9113 4.2",
             lambda c, kind=kind, size=size: c.headers(1, ASK, END_HEADERS) + frame(kind, 0, 1, b"\0" * size), allow)
        for name, kind, sizes, allow in (
            ("RST_STREAM", RST_STREAM, (0, 3, 5), SIZE),
            ("PRIORITY", PRIORITY, (0, 4, 6), stream_error("FRAME_SIZE_ERROR")),
            ("WINDOW_UPDATE on a stream", WINDOW_UPDATE, (3, 5), SIZE),
        )
        for size in sizes
    ],
]  # fmt: skip


def inside_a_head(name, make, section="9113 4.3"):
    """Between HEADERS without END_HEADERS and its CONTINUATION nothing may stand."""
    return case(f"inside a head: {name}", section,
                lambda c: c.headers(1, MODELS, END_STREAM) + make(c), PROTOCOL)  # fmt: skip


HEADS = [
    inside_a_head("PRIORITY", lambda _: frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")),
    inside_a_head("HEADERS of another stream", lambda c: c.headers(3, MODELS)),
    inside_a_head("HEADERS of the same stream", lambda c: c.headers(1, MODELS)),
    inside_a_head("DATA", lambda _: frame(DATA, END_STREAM, 1, b"a"), "9113 6.10"),
    inside_a_head("PING", lambda _: frame(PING, 0, 0, b"12345678"), "9113 6.10"),
    inside_a_head("SETTINGS", lambda _: settings(), "9113 6.10"),
    inside_a_head("unknown frame", lambda _: frame(0x16, 0, 1, b"any"), "9113 5.5"),
    inside_a_head("CONTINUATION of stream 0", lambda _: frame(CONTINUATION, END_HEADERS, 0), "9113 6.10"),
    inside_a_head("CONTINUATION of another stream", lambda _: frame(CONTINUATION, END_HEADERS, 3), "9113 6.10"),
    case("CONTINUATION, several", "9113 6.10", lambda c: split_head(c, 1), ANSWERED),
    case("CONTINUATION, empty ones between", "9113 6.10", lambda c: split_head(c, 0), ANSWERED),
    case("CONTINUATION after a whole head", "9113 6.10",
         after_models(lambda _: frame(CONTINUATION, END_HEADERS, 1)), CLOSED, held=True),
    case("CONTINUATION after a whole CONTINUATION", "9113 6.10",
         lambda c: split_head(c, 1) + frame(CONTINUATION, END_HEADERS, 1), CLOSED, held=True),
    case("CONTINUATION after DATA", "9113 6.10",
         lambda c: c.headers(1, ASK, END_HEADERS) + frame(DATA, 0, 1, b"{") + frame(CONTINUATION, END_HEADERS, 1), PROTOCOL),
]  # fmt: skip


def split_head(connection, piece):
    """A head in four CONTINUATION frames, or in one after empty ones."""
    block = connection.block(MODELS)
    pieces = [block[i : i + 4] for i in (1, 5, 9)] if piece else [b"", b"", b""]
    frames = [frame(CONTINUATION, 0, 1, one) for one in pieces]
    rest = block[1 + len(b"".join(pieces)) :]
    return frame(HEADERS, END_STREAM, 1, block[:1]) + b"".join(frames) + frame(CONTINUATION, END_HEADERS, 1, rest)


def reset_first(make):
    """Frames on a stream that the client has reset."""
    return lambda c: c.headers(1, ASK, END_HEADERS) + rst(1) + make(c) + c.headers(3, MODELS)


def ended_first(name, make, allow):
    """Frames on a stream that both sides have ended."""

    def run(world):
        with Connection(world.address) as connection:
            connection.send(connection.headers(1, MODELS))
            equal(connection.becomes(), "answer 200", "the stream")
            connection.send(make(connection), connection.headers(3, MODELS))
            became = closed_or(connection)
            expect(became in allow, f"it became {became!r}, wanted one of {sorted(allow)}")

    return Case(f"closed: {name}", "RFC 9113 5.1", run)


def closed_or(connection):
    """What the frames on stream 1 led to, or what became of stream 3 behind them."""
    became = connection.becomes(3)
    resets = [one for one in connection.frames if one.type == RST_STREAM and one.stream_id == 1]
    return "RST STREAM_CLOSED" if resets and became == "answer 200" and resets[-1].error_code == 5 else became


#: RFC 9113 5.1: frames that may have been on their way are to be ignored for a while after a reset.
LATE = CLOSED | ANSWERED
STATES = [
    refused("idle: DATA", "9113 5.1", PROTOCOL | connection_error("STREAM_CLOSED"), frame(DATA, END_STREAM, 1, b"a")),
    refused("idle: RST_STREAM", "9113 5.1", PROTOCOL, rst(1)),
    refused("idle: WINDOW_UPDATE", "9113 5.1", PROTOCOL, window_update(1, 100)),
    refused("idle: CONTINUATION", "9113 5.1", PROTOCOL, frame(CONTINUATION, END_HEADERS, 1, b"a")),
    ignored("idle: PRIORITY", "9113 5.1", frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")),
    case("half closed: DATA", "9113 5.1", after_models(lambda _: frame(DATA, END_STREAM, 1, b"a")), CLOSED, held=True),
    case("half closed: HEADERS", "9113 5.1", after_models(lambda c: c.headers(1, MODELS)), CLOSED, held=True),
    case("half closed: PRIORITY", "9113 5.1", after_models(lambda _: frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")), ANSWERED, held=True),
    case("half closed: WINDOW_UPDATE", "9113 5.1", after_models(lambda _: window_update(1, 9)), ANSWERED, held=True),
    case("half closed: RST_STREAM", "9113 5.1", lambda c: c.headers(1, MODELS) + rst(1) + c.headers(3, MODELS), ANSWERED, stream=3),
    case("reset: DATA", "9113 5.1", reset_first(lambda _: frame(DATA, END_STREAM, 1, b"a")), LATE, stream=3),
    case("reset: HEADERS", "9113 5.1", reset_first(lambda c: c.headers(1, MODELS)), LATE, stream=3),
    case("reset: CONTINUATION", "9113 5.1", reset_first(lambda _: frame(CONTINUATION, END_HEADERS, 1)), PROTOCOL, stream=3),
    case("reset: PRIORITY", "9113 5.1", reset_first(lambda _: frame(PRIORITY, 0, 1, b"\0\0\0\0\x10")), ANSWERED, stream=3),
    ended_first("DATA", lambda _: frame(DATA, END_STREAM, 1, b"a"), CLOSED),
    ended_first("HEADERS", lambda c: c.headers(1, MODELS), CLOSED),
    ended_first("CONTINUATION", lambda _: frame(CONTINUATION, END_HEADERS, 1), PROTOCOL),
    ended_first("PRIORITY", lambda _: frame(PRIORITY, 0, 1, b"\0\0\0\0\x10"), ANSWERED),
    ended_first("WINDOW_UPDATE", lambda _: window_update(1, 9), ANSWERED),
    case("even stream", "9113 5.1.1", lambda c: c.headers(2, MODELS), PROTOCOL, stream=2),
    case("stream below the last", "9113 5.1.1", lambda c: c.headers(5, MODELS) + c.headers(3, MODELS),
         connection_error("PROTOCOL_ERROR", "STREAM_CLOSED"), stream=3),
    case("stream ids with gaps", "9113 5.1.1", lambda c: c.headers(1, MODELS) + c.headers(999, MODELS), ANSWERED, stream=999),
]  # fmt: skip


def self_dependent(stream):
    return struct.pack(">IB", stream, 16)


#: RFC 9113 5.3 gives priorities up: they may be ignored, or checked as RFC 7540 said.
PRIORITIES = [
    case("HEADERS that depend on themselves", "9113 5.3",
         lambda c: frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, self_dependent(1) + c.block(MODELS)),
         MALFORMED | ANSWERED),
    case("PRIORITY that depends on itself", "9113 5.3", then_models(frame(PRIORITY, 0, 1, self_dependent(1))),
         MALFORMED | ANSWERED),
    case("HEADERS with priority", "9113 6.2",
         lambda c: frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, b"\x80\0\0\0\xff" + c.block(MODELS)), ANSWERED),
    ignored("PRIORITY of many streams", "9113 6.3", *[frame(PRIORITY, 0, 2 * n + 1, b"\0\0\0\0\x10") for n in range(300)]),
    refused("PRIORITY on stream 0", "9113 6.3", PROTOCOL, frame(PRIORITY, 0, 0, b"\0\0\0\1\x10")),
]  # fmt: skip


def padded_ask(connection, pad):
    body = GOOD
    return connection.headers(1, ASK, END_HEADERS) + frame(DATA, END_STREAM | PADDED, 1, bytes([pad]) + body + b"\0" * 9)


FRAMES = [
    refused("DATA on stream 0", "9113 6.1", PROTOCOL, frame(DATA, END_STREAM, 0, b"a")),
    case("DATA padded", "9113 6.1", lambda c: padded_ask(c, 9), ANSWERED, upstream=[GOOD]),
    case("DATA padded longer than it is", "9113 6.1", lambda c: padded_ask(c, 255), PROTOCOL),
    case("DATA padded without a length", "9113 6.1",
         lambda c: c.headers(1, ASK, END_HEADERS) + frame(DATA, END_STREAM | PADDED, 1), PROTOCOL | SIZE),
    case("DATA, many empty, then the prompt", "9113 6.1",
         lambda c: c.headers(1, ASK, END_HEADERS) + frame(DATA, 0, 1) * 20 + frame(DATA, END_STREAM, 1, GOOD), ANSWERED,
         upstream=[GOOD]),
    case("HEADERS on stream 0", "9113 6.2", lambda c: c.headers(0, MODELS), PROTOCOL),
    case("HEADERS padded", "9113 6.2",
         lambda c: frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\5" + c.block(MODELS) + b"\0" * 5), ANSWERED),
    case("HEADERS padded longer than it is", "9113 6.2",
         lambda c: frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\xff" + c.block(MODELS)), PROTOCOL),
    refused("RST_STREAM on stream 0", "9113 6.4", PROTOCOL, rst(0)),
    case("RST_STREAM of an unknown code", "9113 7", lambda c: c.headers(1, ASK, END_HEADERS) + rst(1, 0xFF) + c.headers(3, MODELS),
         ANSWERED, stream=3),
    refused("SETTINGS on a stream", "9113 6.5", PROTOCOL, frame(SETTINGS, 0, 1)),
    refused("wrong size: SETTINGS answer with a payload", "9113 6.5", SIZE, frame(SETTINGS, ACK, 0, b"\0" * 6)),
    *[
        refused(f"SETTINGS {name} {value}", "9113 6.5.2", allow, settings((key, value)))
        for name, key, value, allow in (
            ("ENABLE_PUSH", 2, 2, PROTOCOL), ("INITIAL_WINDOW_SIZE", 4, 2**31, FLOW), ("INITIAL_WINDOW_SIZE", 4, 2**32 - 1, FLOW),
            ("MAX_FRAME_SIZE", 5, LARGEST - 1, PROTOCOL), ("MAX_FRAME_SIZE", 5, 0, PROTOCOL), ("MAX_FRAME_SIZE", 5, 2**24, PROTOCOL),
        )
    ],
    ignored("SETTINGS of unknown names", "9113 6.5.2", settings((0xFF, 1), (0x8, 0), (0, 5))),
    ignored("SETTINGS of a table of 0", "9113 6.5.2", settings((1, 0))),
    ignored("SETTINGS of a table of 2^32 - 1", "9113 6.5.2", settings((1, 2**32 - 1))),
    case("PUSH_PROMISE", "9113 6.6", lambda c: c.headers(1, ASK, END_HEADERS)
         + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + c.block(MODELS)), PROTOCOL),
    ignored("PING answer that nobody asked for", "9113 6.7", frame(PING, ACK, 0, b"12345678")),
    refused("PING on a stream", "9113 6.7", PROTOCOL, frame(PING, 0, 1, b"12345678")),
    refused("GOAWAY on a stream", "9113 6.8", PROTOCOL, frame(GOAWAY, 0, 1, b"\0" * 8)),
    refused("WINDOW_UPDATE of 0", "9113 6.9", PROTOCOL | FLOW, window_update(0, 0)),
    case("WINDOW_UPDATE of 0 on a stream", "9113 6.9", lambda c: c.headers(1, ASK, END_HEADERS) + window_update(1, 0), MALFORMED),
    refused("WINDOW_UPDATE past 2^31 - 1", "9113 6.9.1", FLOW, window_update(0, 2**31 - 1) * 2),
    case("WINDOW_UPDATE past 2^31 - 1 on a stream", "9113 6.9.1",
         lambda c: c.headers(1, ASK, END_HEADERS) + window_update(1, 2**31 - 1) * 2, stream_error("FLOW_CONTROL_ERROR")),
    case("SETTINGS that lift a window past 2^31 - 1", "9113 6.9.2",
         lambda c: c.headers(1, ASK, END_HEADERS) + window_update(1, 2**30) + settings((4, 2**31 - 1)), FLOW),
]  # fmt: skip


def exchange(world, first, then):
    """`then(connection)` is sent once the stream waits; returns the body that came in the end."""
    with Connection(world.address, first) as connection:
        connection.send(connection.headers(1, MODELS))
        then(connection)
        equal(connection.becomes(), "answer 200", "the stream")
        return connection


def waits_for_the_window(connection):
    """Reads the head, and makes sure by a ping that no DATA comes before the window opens."""
    connection.until(lambda one: one.type == HEADERS)
    connection.send(frame(PING, payload=b"no data?"))
    connection.until(lambda one: one.type == PING)
    equal(connection.bodies.get(1, b""), b"", "DATA before the window was open")


def window_of_one(world):
    """9113 6.9.1: never more octets than the window holds."""

    def then(connection):
        while len(connection.bodies.get(1, b"")) < 5:
            connection.until(lambda one: one.type == DATA)
            equal(len(connection.frames[-1].data), 1, "octets of a DATA frame")
            connection.send(window_update(1, 1))
        connection.send(window_update(1, 60000))

    expect(exchange(world, settings((4, 1)), then).bodies[1].startswith(b"{"), "no body")


def window_of_none(world):
    """9113 6.9.2: a window of 0 holds the answer back until SETTINGS or WINDOW_UPDATE open it."""
    for opened in (settings((4, 9000)), window_update(1, 9000)):

        def then(connection, opened=opened):
            waits_for_the_window(connection)
            connection.send(opened)

        exchange(world, settings((4, 0)), then)


def window_below_none(world):
    """9113 6.9.2: a window that SETTINGS made negative must be filled first."""

    def then(connection):
        connection.until(lambda one: one.type == DATA)
        equal(len(connection.bodies[1]), 9, "octets in a window of 9")
        connection.send(settings((4, 4)), window_update(1, 5), frame(PING, payload=b"no data?"))
        connection.until(lambda one: one.type == PING)
        equal(len(connection.bodies[1]), 9, "octets while the window is not above 0")
        connection.send(window_update(1, 9000))

    exchange(world, settings((4, 9)), then)


def settings_are_taken_in_order(world):
    """9113 6.5.3: the last value of a name counts, and each frame is acknowledged."""

    def then(connection):
        connection.until(lambda one: one.type == DATA)
        equal(len(connection.bodies[1]), 1, "octets in a window of 1")
        connection.send(window_update(1, 9000))

    connection = exchange(world, settings((4, 100), (4, 1)), then)
    expect(any(one.type == SETTINGS and "ACK" in one.flags for one in connection.frames), "no acknowledgement")


def ping_is_answered(world):
    """9113 6.7: with the same octets, and only once."""
    with Connection(world.address) as connection:
        connection.send(frame(PING, payload=b"abcdefgh"))
        equal(connection.until(lambda one: one.type == PING).opaque_data, b"abcdefgh", "octets")
        connection.lives()
        equal(sum(one.type == PING for one in connection.frames), 1, "answers")


def streams_beyond_the_limit(world):
    """9113 5.1.2: a stream too many is refused alone, and the others are answered."""
    world.upstream.open.clear()
    try:
        with Connection(world.address) as connection:
            limit = dict(connection.next().settings)[3]
            streams = [2 * number + 1 for number in range(limit + 1)]
            connection.send(*[connection.headers(stream, MODELS) for stream in streams])
            became = connection.becomes(streams[-1])
            world.upstream.open.set()
            expect(became in stream_error("REFUSED_STREAM", "PROTOCOL_ERROR"), f"it became {became!r}")
            if became.startswith("RST"):
                left = set(streams[:-1])
                while left:
                    one = connection.next()
                    expect(one, f"{len(left)} streams were not answered")
                    expect(one.type != RST_STREAM, f"{one} was reset")
                    if one.type in (HEADERS, DATA) and "END_STREAM" in one.flags:
                        left.discard(one.stream_id)
    finally:
        world.upstream.open.set()


ONE_BY_ONE = (
    window_of_one, window_of_none, window_below_none, settings_are_taken_in_order, ping_is_answered,
    streams_beyond_the_limit,
)  # fmt: skip
CASES = [
    *STARTS, *FORMAT, *HEADS, *STATES, *PRIORITIES, *FRAMES,
    *[Case(one.__name__.replace("_", " "), f"RFC {one.__doc__.split(':')[0]}", one) for one in ONE_BY_ONE],
]  # fmt: skip
