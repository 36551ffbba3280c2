"""Requests in HTTP/2 (RFC 9113, 8) and their compressed heads (RFC 7541).

A head that HTTP/1 would read in another way must never reach the upstream, which speaks HTTP/1.
"""

import json

from checks import equal, expect

from .cases import Case
from .h1 import CHAT, EVIL, GOOD
from .h2 import (
    ANSWERED, ASK, CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, MALFORMED, MODELS, Connection, asked, case,
    connection_error, frame, stream_error,
)  # fmt: skip

COMPRESSION = connection_error("COMPRESSION_ERROR")
#: Refused by the gate with an answer of its own.
REFUSED = MALFORMED | {"answer 400"}
LENGTH = str(len(GOOD))


def field(name, fields, allow=MALFORMED, section="9113 8.2"):
    return asked(f"field {name}", section, fields, allow)


FIELDS = [
    field("plain", [("x-any", "1")], ANSWERED),
    field("in upper case", [("X-Any", "1")], section="9113 8.2.1"),
    *[
        field(f"name with {what}", [(f"x{char}any", "1")], section="9113 8.2.1")
        for what, char in (("NUL", "\0"), ("a space", " "), ("CR LF", "\r\n"), ("LF", "\n"), ("DEL", "\x7f"), ("a colon", ":"))
    ],
    field("name empty", [("", "1")], section="9113 8.2.1"),
    *[
        field(f"value with {what}", [("x-any", f"a{char}b")], section="9113 8.2.1")
        for what, char in (("NUL", "\0"), ("CR LF", "\r\nx-portcullis-any: 1"), ("LF", "\n"), ("CR", "\r"))
    ],
    # They must not be sent; a reader may refuse them, or drop the blanks.
    field("value with a space before", [("x-any", " a")], MALFORMED | ANSWERED, "9113 8.2.1"),
    field("value with a tab behind", [("x-any", "a\t")], MALFORMED | ANSWERED, "9113 8.2.1"),
    *[
        field(f"of a connection: {name}", [(name, value)], section="9113 8.2.2")
        for name, value in (
            ("connection", "keep-alive"), ("keep-alive", "timeout=5"), ("proxy-connection", "close"), ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"), ("te", "gzip"), ("te", "trailers, gzip"),
        )
    ],
    field("te: trailers", [("te", "trailers")], ANSWERED, "9113 8.2.2"),
]  # fmt: skip


def pseudo(name, replace=None, extra=(), allow=MALFORMED, section="9113 8.3.1"):
    return asked(f"pseudo {name}", section, list(extra), allow, replace=replace)


PSEUDO = [
    pseudo("unknown", extra=[(":any", "1")]),
    pseudo(":status", extra=[(":status", "200")]),
    pseudo(":protocol without the setting", {":method": "CONNECT"}, [(":protocol", "websocket")], section="RFC 8441 4"),
    case("pseudo behind a field", "9113 8.3",
         lambda c: c.headers(1, [("x-any", "1"), *MODELS]), MALFORMED),
    *[pseudo(f"without {name}", {name: None}) for name in (":method", ":scheme", ":path")],
    *[
        case(f"pseudo {name} twice", "9113 8.3",
             lambda c, name=name, value=value: c.headers(1, [(name, value), *MODELS]), MALFORMED)
        for name, value in (*MODELS, (":path", CHAT), (":authority", "other.example"))
    ],
    pseudo(":path empty", {":path": ""}),
    pseudo(":path without a slash", {":path": CHAT[1:]}, allow=REFUSED | {"answer 404"}),
    pseudo(":path of another spelling", {":path": f"/{CHAT}"}, allow={"answer 404"}),
    pseudo(":path with a fragment", {":path": f"{CHAT}#a"}, allow=REFUSED | ANSWERED | {"answer 404"}),
    pseudo(":path *", {":path": "*"}, allow=REFUSED | {"answer 404"}),
    pseudo(":path of a whole URL", {":path": f"http://gate{CHAT}"}, allow=REFUSED | {"answer 404"}),
    *[
        pseudo(f":path with {what}", {":path": f"{CHAT}{char}x"})
        for what, char in (("a space", " HTTP/1.1 "), ("CR LF", " HTTP/1.1\r\nx: "), ("NUL", "\0"), ("LF", "\n"))
    ],
    *[
        pseudo(f":method with {what}", {":method": f"POST{char}"}, allow=REFUSED | {"answer 405"})
        for what, char in (("a space", " "), ("CR LF", "\r\nx: y"), ("a whole line", f" {CHAT} HTTP/1.1\r\nx: y"), ("NUL", "\0"))
    ],
    pseudo(":method empty", {":method": ""}),
    pseudo(":method in lower case", {":method": "post"}, allow=REFUSED | {"answer 405", "answer 501"}),
    pseudo(":method CONNECT", {":method": "CONNECT"}),
    pseudo(":method CONNECT alone", {":method": "CONNECT", ":path": None, ":scheme": None},
           allow=REFUSED | {"answer 404", "answer 405", "answer 501"}, section="9113 8.5"),
    pseudo(":scheme of another kind", {":scheme": "ftp"}, allow=REFUSED | ANSWERED),
    pseudo(":scheme with a colon", {":scheme": "http://gate/"}),
    pseudo(":authority of another host", {":authority": "other.example"}, allow=ANSWERED),
    pseudo(":authority with a user", {":authority": "a:b@gate"}, allow=REFUSED),
    pseudo(":authority with a space", {":authority": "a b"}),
    pseudo(":authority with CR LF", {":authority": "gate\r\nx: y"}),
    pseudo(":authority missing", {":authority": None}, allow=REFUSED | ANSWERED),
    pseudo("host instead of :authority", {":authority": None}, [("host", "gate")], ANSWERED),
    pseudo("host beside another :authority", None, [("host", "other.example")], REFUSED),
    pseudo("host twice", None, [("host", "gate"), ("host", "gate")], REFUSED | ANSWERED),
]  # fmt: skip


def length(name, *values, allow=MALFORMED, body=GOOD):
    return asked(f"length {name}", "9113 8.1.1", [("content-length", value) for value in values], allow, body)


LENGTHS = [
    length("right", LENGTH, allow=ANSWERED),
    length("too large", str(len(GOOD) + 1)),
    length("too small", str(len(GOOD) - 1)),
    length("of nothing", "0"),
    length("twice, one wrong", LENGTH, "1"),
    length("twice, one wrong, first", "1", LENGTH),
    length("twice the same", LENGTH, LENGTH, allow=MALFORMED | ANSWERED),
    length("list", f"{LENGTH}, {LENGTH}", allow=MALFORMED | ANSWERED),
    length("with a plus", f"+{LENGTH}"),
    length("in words", "many"),
    length("past 2^64", str(2**64 + len(GOOD))),
    case("length of a body that never comes", "9113 8.1.1",
         lambda c: c.headers(1, [*ASK, ("content-length", LENGTH)]), MALFORMED),
    case("length beside the sum of several DATA", "9113 8.1.1",
         lambda c: c.headers(1, [*ASK, ("content-length", LENGTH)], END_HEADERS) + frame(DATA, 0, 1, GOOD) +
         frame(DATA, END_STREAM, 1, b" "), MALFORMED),
    case("length right of several DATA", "9113 8.1.1",
         lambda c: c.headers(1, [*ASK, ("content-length", LENGTH)], END_HEADERS) + frame(DATA, 0, 1, GOOD[:9])
         + frame(DATA, END_STREAM, 1, GOOD[9:]), ANSWERED, upstream=[GOOD]),
]  # fmt: skip


def trailer(name, fields, allow=MALFORMED, flags=END_STREAM | END_HEADERS):
    def frames(connection):
        head = connection.headers(1, ASK, END_HEADERS)
        return head + frame(DATA, 0, 1, GOOD) + connection.headers(1, fields, flags)

    return case(f"trailer {name}", "9113 8.1", frames, allow, upstream=[GOOD])


TRAILERS = [
    trailer("plain", [("x-any", "1")], ANSWERED),
    trailer("of ours", [("x-portcullis-subject", "root"), ("authorization", "x")], ANSWERED | MALFORMED),
    trailer("content-length", [("content-length", "1")], ANSWERED | MALFORMED),
    trailer("with a pseudo field", [(":method", "POST")]),
    trailer("with :path", [("x-any", "1"), (":path", CHAT)]),
    trailer("in upper case", [("X-Any", "1")]),
    trailer("of a connection", [("transfer-encoding", "chunked")]),
    trailer("without an end", [("x-any", "1")], flags=END_HEADERS),
]


def literal(name, value, plain=True):
    """A literal field without indexing and with a new name; `value` and its length as they are."""
    return b"\0" + bytes([len(name)]) + name + (bytes([len(value)]) if plain else b"") + value


def packed(name, section, data, allow, at_start=False):
    """A request whose compressed head has `data` at its end or start."""

    def frames(connection):
        block = connection.block(MODELS)
        block = data + block if at_start else block + data
        return frame(HEADERS, END_STREAM | END_HEADERS, 1, block)

    return case(f"hpack {name}", section, frames, allow)


def indexed(connection):
    """A field that enters the table and is then named by its index there."""
    block = connection.block(MODELS) + b"\x40\x05x-any\x011\xbe"
    connection.encoder.header_table.add(b"x-any", b"1")
    return frame(HEADERS, END_STREAM | END_HEADERS, 1, block)


#: `a` in Huffman's code is 00011; the rest of the octet must be ones.
HPACK = [
    packed("literal without indexing", "7541 6.2.2", literal(b"x-any", b"1"), ANSWERED),
    packed("literal never indexed", "7541 6.2.3", b"\x10\x05x-any\x011", ANSWERED),
    case("hpack literal with indexing", "7541 6.2.1", indexed, ANSWERED),
    packed("error: index 0", "7541 6.1", b"\x80", COMPRESSION),
    packed("error: index past the tables", "7541 2.3.3", b"\xff\x20", COMPRESSION),
    packed("error: name's index past the tables", "7541 2.3.3", b"\x7f\x20\x011", COMPRESSION),
    packed("error: index of more than 32 bits", "7541 5.1", b"\xff" + b"\xff" * 9 + b"\x01", COMPRESSION),
    packed("error: index written without end", "7541 5.1", b"\xff" + b"\x80" * 60 + b"\x01", COMPRESSION),
    packed("error: length past the block", "7541 5.2", b"\0\x05x-any\x7e1", COMPRESSION),
    packed("error: length of more than 32 bits", "7541 5.2", b"\0\x05x-any\x7f" + b"\xff" * 9 + b"\x01", COMPRESSION),
    packed("error: cut in a number", "7541 5.1", b"\xff\x80", COMPRESSION),
    packed("error: cut in a name", "7541 5.2", b"\0\x05x-a", COMPRESSION),
    packed("Huffman padded right", "7541 5.2", b"\0\x05x-any\x81\x1f", ANSWERED),
    packed("error: Huffman padded by 8 bits", "7541 5.2", b"\0\x05x-any\x82\x1f\xff", COMPRESSION),
    packed("error: Huffman padded by zeros", "7541 5.2", b"\0\x05x-any\x81\x18", COMPRESSION),
    packed("error: Huffman with EOS", "7541 5.2", b"\0\x05x-any\x85\x1f\xff\xff\xff\xff", COMPRESSION),
    packed("table size twice at the start", "7541 4.2", b"\x20\x3f\xe1\x1f", ANSWERED, at_start=True),
    packed("error: table size at the end", "7541 4.2", b"\x20", COMPRESSION),
    packed("error: table size past the limit", "7541 6.3", b"\x3f\xff\xff\x7f", COMPRESSION, at_start=True),
    packed("empty field name", "9113 8.2.1", literal(b"", b"1"), MALFORMED),
    case("hpack block of nothing", "9113 8.3.1", lambda _: frame(HEADERS, END_STREAM | END_HEADERS, 1), MALFORMED),
    case("hpack block that is cut by CONTINUATION", "9113 4.3",
         lambda c: (lambda block: frame(HEADERS, END_STREAM, 1, block[:7]) + frame(CONTINUATION, END_HEADERS, 1, block[7:]))
         (c.block(MODELS)), ANSWERED),
    # Names by reference: 20 octets of a frame each stand for 4,000 of a header.
    case("hpack bomb", "7541 7.3",
         lambda c: frame(HEADERS, END_STREAM | END_HEADERS, 1,
                         c.block(MODELS) + b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000 + b"\xbe" * 8000),
         stream_error("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "REFUSED_STREAM") | {"answer 431"}),
    asked("head larger than the limit", "9113 10.5.1", [(f"x-{n}", "a" * 1000) for n in range(12)] * 6,
          stream_error("ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "REFUSED_STREAM", "FRAME_SIZE_ERROR") | {"answer 431"}),
]  # fmt: skip


def prompt(world, *fields, body=GOOD):
    """A prompt with extra fields; returns its connection and what the upstream got."""
    mark = len(world.upstream.seen)
    with Connection(world.address) as connection:
        connection.send(connection.post(1, body, *fields))
        equal(connection.becomes(), "answer 200", "the prompt")
    requests = world.forwarded(mark)
    world.expected += [one.body for one in requests]
    return connection, requests


def prompts_are_screened(world):
    """DESIGN 4: whatever the protocol."""
    connection, requests = prompt(world, body=EVIL)
    equal(dict(connection.fields[1])["x-portcullis-action"], "block", "action")
    equal(requests, [], "requests at the upstream")


def our_fields_stay(world):
    """DESIGN 4, step 6: `x-portcullis-*` and fields of one hop are not forwarded; one Host is ours."""
    _, (request,) = prompt(world, ("x-portcullis-subject", "root"), ("te", "trailers"), ("proxy-authorization", "x"),
                           ("x-custom", "kept"), ("expect", "100-continue"))  # fmt: skip
    equal(request.values(b"x-custom"), [b"kept"], "x-custom")
    equal(request.body, GOOD, "body")
    equal(request.values(b"host"), [world.upstream.url.removeprefix("http://").encode()], "host")


def cookies_become_one(world):
    """RFC 9113 8.2.3: cookie crumbs are joined before they go into HTTP/1."""
    _, (request,) = prompt(world, ("cookie", "a=b"), ("cookie", "c=d"))
    equal(request.values(b"cookie"), [b"a=b; c=d"], "cookie")


def many_streams_at_once(world):
    """RFC 9113 5: interleaved bodies are kept apart, and each answer belongs to its question."""
    mark, bodies = len(world.upstream.seen), {2 * n + 1: GOOD.replace(b"bread", b"bread %d" % n) for n in range(40)}
    with Connection(world.address) as connection:
        connection.send(*[connection.headers(stream, ASK, END_HEADERS) for stream in bodies])
        for start in range(0, 120, 8):
            pieces = ((stream, body[start : start + 8]) for stream, body in bodies.items())
            connection.send(*[frame(DATA, 0, stream, piece) for stream, piece in pieces if piece])
        connection.send(*[frame(DATA, END_STREAM, stream) for stream in bodies])
        left = set(bodies)
        while left:
            one = connection.next()
            expect(one, f"streams {left} were not answered")
            if one.stream_id in left and "END_STREAM" in one.flags:
                left.discard(one.stream_id)
    for stream in bodies:
        equal(connection.status(stream), "200", f"status of stream {stream}")
        expect(json.loads(connection.bodies[stream])["choices"], f"stream {stream}: no answer")
    found = sorted(one.body for one in world.forwarded(mark))
    equal(found, sorted(bodies.values()), "bodies at the upstream")
    world.expected += found


ONE_BY_ONE = (prompts_are_screened, our_fields_stay, cookies_become_one, many_streams_at_once)
CASES = [
    *FIELDS, *PSEUDO, *LENGTHS, *TRAILERS, *HPACK,
    *[Case(one.__name__.replace("_", " "), one.__doc__.split(":")[0], one) for one in ONE_BY_ONE],
]  # fmt: skip
