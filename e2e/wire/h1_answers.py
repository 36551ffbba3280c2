"""What an upstream may send back, and what of it the client must never see (RFC 9112, 6.3 and 9.2).

The client's answer must end where the gate says that it ends, and a byte that an upstream sent too
much must not become a part of the next exchange.
"""

import gzip
import json
import zlib

import brotli
import zstandard
from checks import equal, expect
from gate import SECRET

from .cases import Case
from .h1 import GOOD, LAST, post, talk
from .upstream import completion, whole

FINE = completion()
#: The policy refuses it in an answer too.
HARMFUL = completion(f"It is called {SECRET}.")
PLANTED = whole(completion("planted"))
OURS = ("x-portcullis-action", "x-portcullis-decision", "x-portcullis-policy", "x-portcullis-coverage", "x-request-id")
HOP = ("keep-alive", "te", "trailer", "upgrade", "proxy-authenticate", "proxy-connection", "x-hop", "content-encoding")


def chunks(*pieces, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def in_chunks(body, *lines, end=b"0\r\n\r\n", status=b"200 OK"):
    return whole(b"", b"Transfer-Encoding: chunked", *lines, status=status, length=False) + chunks(body, end=end)


def answer(name, script, statuses, body=None, closes=False, section="RFC 9112 6.3"):
    """The upstream answers `script`; where it `closes` then and is whole, it must say so, for a gate may
    send the next prompt on a connection that is about to end. `statuses` are those that the client may see; a 200 has `body`."""

    def run(world):
        world.upstream.scripts[name.encode()] = (script, closes)
        mark = len(world.upstream.seen)
        found = talk(world.address, post(GOOD, f"X-Script: {name}") + post(GOOD) + LAST)
        line = found.line.split(" ", 1)
        expect(line[0] in statuses, f"found {found.line!r}, wanted one of {statuses}: {found.answers[:1]}")
        equal(line[1:], ["200 200"], "the answers after it")
        first, second = found.answers[:2]
        equal(second.body, FINE, "the next answer on this connection")
        check_head(first)
        if first.status == 200:
            equal(first.body, FINE if body is None else body, "body at the client")
        elif first.status != 304:
            expect(json.loads(first.body)["error"], "no error in the dialect's shape")
        # A retry on a fresh connection is the gate's right only before the upstream got anything.
        world.expect_forwarded(mark, [GOOD, GOOD])

    return Case(f"answer {name}", section, run)


def check_head(found):
    for name in OURS:
        equal(len(found.values(name)), 1, f"{name} at the client")
    for name in HOP:
        equal(found.values(name), [], f"{name} at the client")
    framing = found.values("content-length") + found.values("transfer-encoding")
    equal(len(framing), 0 if found.status == 304 else 1, f"framing of {found.headers}")
    expect(found.value("x-portcullis-action") != "spoofed", "the upstream spoke for the gate")


SPOOFED = [
    b"X-Portcullis-Action: spoofed", b"X-Portcullis-Decision: spoofed", b"X-Portcullis-Any: spoofed",
    b"Connection: X-Hop, keep-alive", b"X-Hop: 1", b"Keep-Alive: timeout=99", b"Proxy-Authenticate: Basic",
    b"Trailer: X-Any", b"Upgrade: h2c", b"Proxy-Connection: keep-alive",
]  # fmt: skip
BAD = ("502",)
LENGTH = b"Content-Length: %d" % len(FINE)

WHOLE = [
    answer("plain", whole(FINE), ("200",)),
    answer("in chunks", in_chunks(FINE), ("200",)),
    answer("in chunks with extensions", whole(b"", b"Transfer-Encoding: chunked", length=False)
           + b"%x;a=b\r\n%s\r\n0;a\r\n\r\n" % (len(FINE), FINE), ("200",)),
    answer("until the end", whole(FINE, b"Connection: close", length=False), ("200",), closes=True),
    answer("in HTTP/1.0", whole(FINE, length=False).replace(b"HTTP/1.1", b"HTTP/1.0", 1), ("200",), closes=True),
    answer("without a reason", whole(FINE, status=b"200 "), ("200",)),
    answer("with headers of its connection and ours", whole(FINE, *SPOOFED), ("200",), section="RFC 9110 7.6.1"),
    answer("with trailers", in_chunks(FINE, b"Trailer: X-Any", end=b"0\r\nX-Any: 1\r\nX-Portcullis-Action: spoofed\r\n\r\n"),
           ("200",), section="RFC 9110 6.5.1"),
    answer("after 100", b"HTTP/1.1 100 Continue\r\n\r\n" + whole(FINE), ("200",), section="RFC 9110 15.2"),
    answer("after 103 with our header", b"HTTP/1.1 103 Early Hints\r\nX-Portcullis-Action: spoofed\r\n\r\n" + whole(FINE),
           ("200",), section="RFC 9110 15.2"),
    answer("length twice the same", whole(FINE, LENGTH), ("200", "502")),
    answer("length beside chunks", whole(b"", b"Transfer-Encoding: chunked", b"Content-Length: 3", b"Connection: close",
           length=False)
           + chunks(FINE), ("200", "502"), closes=True),
]  # fmt: skip

BROKEN = [
    answer("length of two values", whole(FINE, b"Content-Length: 1"), BAD, closes=True),
    answer("length in words", whole(FINE, b"Content-Length: many", length=False), BAD, closes=True),
    answer("length with a plus", whole(FINE, b"Content-Length: +%d" % len(FINE), length=False), BAD, closes=True),
    answer("shorter than its length", whole(FINE, b"Content-Length: %d" % (len(FINE) + 9), length=False), BAD, closes=True),
    answer("chunks without end", whole(b"", b"Transfer-Encoding: chunked", length=False) + chunks(FINE, end=b""), BAD, closes=True),
    answer("chunk of a bad size", whole(b"", b"Transfer-Encoding: chunked", length=False) + b"0x5\r\n", BAD, closes=True),
    answer("chunk ended by LF", whole(b"", b"Transfer-Encoding: chunked", length=False)
           + b"%x\n%s\r\n0\r\n\r\n" % (len(FINE), FINE), BAD, closes=True),
    answer("unknown coding", whole(FINE, b"Transfer-Encoding: cow", b"Connection: close"), ("502", "200"), closes=True),
    answer("bare CR in a header", whole(FINE, b"X-Any: a\rX-Portcullis-Action: spoofed"), BAD, closes=True),
    answer("NUL in a header", whole(FINE, b"X-Any: a\0b"), BAD, closes=True),
    answer("folded header", whole(FINE, b"Connection: close", b"X-Any: a", b" b"), ("502", "200"), closes=True),
    answer("space before the colon", whole(FINE, b"Connection: close", b"X-Any : a"), ("502", "200"), closes=True),
    answer("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", BAD, closes=True),
    answer("status of four digits", whole(FINE, status=b"2000 OK"), BAD, closes=True),
    answer("nothing", b"", BAD, closes=True),
    answer("half a head", b"HTTP/1.1 200 OK\r\nContent-Le", BAD, closes=True),
    answer("very long head", whole(FINE, b"X-Any: " + b"a" * 2_000_000), BAD, closes=True),
    answer("101 that nobody asked for", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
           + PLANTED, BAD, closes=True, section="RFC 9110 15.2.2"),
    answer("204 for a prompt", b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", BAD, closes=True),
    answer("304 for a prompt", b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", ("502", "304"), closes=True),
    # SDKs follow it: the prompt would go to that address and past the gate.
    answer("redirect", whole(b"{}", b"Location: http://127.0.0.1:1/v1/chat/completions", status=b"307 Temporary Redirect"),
           BAD, section="RFC 9110 15.4"),
    answer("another type", whole(FINE).replace(b"application/json", b"text/html", 1), BAD),
    answer("no type", whole(FINE).replace(b"Content-Type", b"X-Type", 1), BAD),
    answer("type twice", whole(FINE, b"Content-Type: text/html"), BAD),
    answer("more than its length", whole(FINE) + PLANTED, ("200",)),
    answer("more than its chunks", in_chunks(FINE) + PLANTED, ("200",)),
]  # fmt: skip


def packed(how, data, body, statuses=("200",)):
    script = whole(data, b"Content-Encoding: " + how.partition(" ")[0].encode())
    return answer(f"encoded {how}", script, statuses, body, section="RFC 9110 8.4")


PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress,
           "zstd": zstandard.ZstdCompressor().compress}  # fmt: skip
ENCODED = [
    *[packed(how, pack(FINE), FINE) for how, pack in PACKERS.items()],
    *[packed(f"{how} cut", pack(FINE)[:-1], None, BAD) for how, pack in PACKERS.items()],
    packed("gzip in two members", gzip.compress(FINE[:50]) + gzip.compress(FINE[50:]), FINE),
    packed("gzip over gzip", gzip.compress(gzip.compress(FINE)), None, BAD),
    packed("cow", FINE, None, BAD),
    packed("gzip bomb", gzip.compress(b" " * (150 * 2**20), 6), None, BAD),
]


def encoded_answers_are_screened(world):
    """RFC 9110 8.4: no encoding hides from the policy what the model said."""
    for how, pack in PACKERS.items():
        world.upstream.scripts[how.encode()] = (whole(pack(HARMFUL), b"Content-Encoding: " + how.encode()), False)
        mark = len(world.upstream.seen)
        found = talk(world.address, post(GOOD, f"X-Script: {how}") + LAST)
        expect(SECRET.encode() not in found.answers[0].body, f"{how}: {found.answers[0].body!r}")
        equal(found.answers[0].value("x-portcullis-action"), "block", f"{how}: action")
        world.expect_forwarded(mark, [GOOD])


CASES = [*WHOLE, *BROKEN, *ENCODED, Case("encoded answers are screened", "RFC 9110 8.4", encoded_answers_are_screened)]
