"""Several requests on one connection, ends in the middle, slow clients (RFC 9112, 9; RFC 9110, 7.8 and 10.1.1)."""

import json
import socket
import time

from checks import equal, expect

from .cases import Case
from .h1 import EVIL, GOOD, LAST, chat, chunk, connect, head, heard, post, read_to_end, send, shown, talk

#: `timeouts.read` of the gate that the slow cases meet.
READ_SECONDS = 1
#: By when it must have hung up: that time, and some for a busy machine.
CUT_SECONDS = READ_SECONDS + 2.5


def refused_by_policy(answer):
    return answer.value("x-portcullis-action") == "block"


def pipelined_answers_come_in_order(world):
    """RFC 9112 9.3.2: answers in the order of the requests, each forwarded once."""
    mark = len(world.upstream.seen)
    bodies = [chat(f"question {number}") for number in range(20)]
    requests = [post(EVIL) if number % 5 == 3 else post(body) for number, body in enumerate(bodies)]
    found = talk(world.address, b"".join(requests) + LAST)
    equal(len(found.answers), 21, "answers")
    for number, answer in enumerate(found.answers[:-1]):
        equal(refused_by_policy(answer), number % 5 == 3, f"answer {number} is a refusal")
    world.expect_forwarded(mark, [body for number, body in enumerate(bodies) if number % 5 != 3])


def pipelined_requests_wait_for_the_first(world):
    """RFC 9112 9.3.2: an answer that is ready waits for the one before it."""
    mark = len(world.upstream.seen)
    world.upstream.open.clear()
    with connect(world.address) as connection:
        # The second needs no upstream, so it could be answered at once.
        connection.sendall(post(GOOD) + post(EVIL) + LAST)
        connection.settimeout(0.3)
        try:
            early = connection.recv(100)
        except TimeoutError:
            early = b""
        world.upstream.open.set()
        connection.settimeout(5)
        found = heard(early + read_to_end(connection))
    equal(early, b"", "bytes before the first answer was ready")
    equal([refused_by_policy(answer) for answer in found.answers], [False, True, False], "refusals")
    world.expect_forwarded(mark, [GOOD])


def byte_by_byte(world):
    """RFC 9112 2.2: how the bytes are cut into packets changes nothing."""
    mark = len(world.upstream.seen)
    with connect(world.address) as connection:
        for byte in head("Transfer-Encoding: chunked") + chunk(GOOD, extension=b";a=b") + b"0\r\nX: 1\r\n\r\n":
            connection.sendall(bytes([byte]))
        connection.sendall(LAST)
        found = heard(read_to_end(connection))
    equal(found.line, "200 200", "answers")
    world.expect_forwarded(mark, [GOOD])


def unread_body(name, section, data, first):
    """A body that was refused unread is no request: it is skipped, or the connection ends."""

    def run(world):
        mark = len(world.upstream.seen)
        found = talk(world.address, data + LAST)
        expect(found.line in (first, f"{first} 200"), f"sent {shown(data)}: found {found.line!r}")
        expect(len(found.answers) < 2 or b'"list"' in found.answers[1].body, "the body was read as a request")
        world.expect_forwarded(mark, [])

    return Case(f"unread body {name}", section, run)


INNER = post(GOOD) + post(EVIL)
UNREAD = [
    unread_body("of an unknown path", "RFC 9112 9.3", post(INNER, target="/nowhere"), "404"),
    unread_body("of a wrong method", "RFC 9112 9.3", post(INNER, method="PUT"), "405"),
    unread_body("of GET", "RFC 9110 9.3.1", post(INNER, method="GET", target="/v1/models"), "200"),
    unread_body("of a wrong type", "RFC 9112 9.3", post(INNER, kind="text/plain"), "415"),
    unread_body("of a wrong encoding", "RFC 9112 9.3", post(INNER, "Content-Encoding: cow"), "415"),
    unread_body("in chunks", "RFC 9112 9.3",
                head("Transfer-Encoding: chunked", kind="text/plain") + chunk(INNER) + b"0\r\n\r\n", "415"),
    unread_body("too large", "RFC 9112 9.3", post(INNER * 600), "413"),
    unread_body("expected and sent all the same", "RFC 9110 10.1.1",
                post(INNER, "Expect: 100-continue", kind="text/plain"), "415"),
    unread_body("expected and too large", "RFC 9110 10.1.1", post(INNER * 600, "Expect: 100-continue"), "413"),
]  # fmt: skip


def expect_continue(world):
    """RFC 9110 10.1.1: 100 before the body, once, then the answer; nothing of it upstream."""
    mark = len(world.upstream.seen)
    with connect(world.address) as connection:
        connection.sendall(head("Expect: 100-continue", f"Content-Length: {len(GOOD)}"))
        interim = connection.recv(1000)
        expect(interim.startswith(b"HTTP/1.1 100"), f"before the body: {interim!r}")
        equal(world.forwarded(mark), [], "requests before the body")
        connection.sendall(GOOD + LAST)
        found = heard(interim + read_to_end(connection))
    equal(found.line, "100 200 200", "answers")
    world.expect_forwarded(mark, [GOOD])


def expect_refused_without_the_body(world):
    """RFC 9110 10.1.1: what is refused by its head is refused at once, without 100."""
    with connect(world.address) as connection:
        connection.sendall(head("Expect: 100-continue", "Content-Length: 9999999"))
        found = heard(read_to_end(connection))
    equal(found.line, "413", "answers")


def expect_unknown(world):
    """RFC 9110 10.1.1: 417, or as if it were not there; never passed on."""
    mark = len(world.upstream.seen)
    found = talk(world.address, post(GOOD, "Expect: 200-ok") + LAST)
    expect(found.line in ("200 200", "417", "417 200"), f"answers: {found.line!r}")
    world.expect_forwarded(mark, [GOOD] if found.line == "200 200" else [])


def expect_in_http_1_0(world):
    """RFC 9110 10.1.1: HTTP/1.0 knows no 100."""
    mark = len(world.upstream.seen)
    found = talk(world.address, post(GOOD, "Expect: 100-continue", version="HTTP/1.0"))
    equal(found.line, "200", "answers")
    world.expect_forwarded(mark, [GOOD])


def upgrade(name, *lines):
    """RFC 9110 7.8: an upgrade that we do not know is ignored; what follows is read as HTTP/1."""

    def run(world):
        mark = len(world.upstream.seen)
        found = talk(world.address, post(GOOD, *lines) + LAST)
        expect(found.line in ("200 200", "400"), f"answers: {found.line!r}")
        world.expect_forwarded(mark, [GOOD] if found.line == "200 200" else [])

    return Case(f"upgrade to {name}", "RFC 9110 7.8", run)


def upgrade_then_preface(world):
    """RFC 9113 3.1: `Upgrade: h2c` is no more; a preface after it is a bad request in HTTP/1."""
    mark = len(world.upstream.seen)
    lines = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"]
    found = talk(world.address, post(GOOD, *lines) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
    equal([answer.status for answer in found.answers][:1], [200], "first answer")
    expect(b"\0\0\0\4" not in found.rest and len(found.answers) <= 2, f"HTTP/2 was spoken: {found.rest!r}")
    world.expect_forwarded(mark, [GOOD])


def early_end(name, data, half):
    """A request that breaks off is never forwarded. `half`: only the sending side is closed."""

    def run(world):
        mark = len(world.upstream.seen)
        with connect(world.address) as connection:
            send(connection, data)
            if half:
                connection.shutdown(socket.SHUT_WR)
                found = heard(read_to_end(connection))
                expect(found.line in ("", "400", "408"), f"answers: {found.line!r}")
        # The gate answers another connection after it saw the end of this one.
        equal(talk(world.address, LAST).line, "200", "the next connection")
        world.expect_forwarded(mark, [])

    return Case(f"early end {name}{', sending side only' if half else ''}", "RFC 9112 8", run)


BROKEN = {
    "in the request line": b"POST /v1/ch",
    "in the head": head("Content-Length: 9")[:-2],
    "after the head": head(f"Content-Length: {len(GOOD)}"),
    "in the body": head(f"Content-Length: {len(GOOD) + 1}") + GOOD,
    "in a chunk": head("Transfer-Encoding: chunked") + chunk(GOOD)[:-9],
    "between chunks": head("Transfer-Encoding: chunked") + chunk(GOOD),
    "in the last chunk": head("Transfer-Encoding: chunked") + chunk(GOOD) + b"0\r\n",
    "in the trailers": head("Transfer-Encoding: chunked") + chunk(GOOD) + b"0\r\nX-Any: 1\r\n",
}
EARLY = [early_end(name, data, half) for name, data in BROKEN.items() for half in (False, True)]


def half_close_after_a_whole_request(world):
    """RFC 9112 9.6: an answer, or an end; the upstream gets it at most once."""
    mark, body = len(world.upstream.seen), chat("half closed")
    with connect(world.address) as connection:
        connection.sendall(post(body))
        connection.shutdown(socket.SHUT_WR)
        found = heard(read_to_end(connection))
    expect(found.line in ("200", ""), f"answers: {found.line!r}")
    if found.line:
        world.expect_forwarded(mark, [body])
    else:
        # The gate gave up, perhaps after it had begun to forward.
        world.optional.append(body)


def head_method_has_no_body(world):
    """RFC 9110 9.3.2: an answer to HEAD has no body, so the next answer stands behind its head."""
    found = talk(world.address, head(target="/v1/models", method="HEAD", kind=None) + LAST)
    text = found.rest or b"".join(answer.body for answer in found.answers)
    expect(text.count(b'"object":"list"') == 1 or text.count(b"HTTP/1.1 200") == 1, f"{text!r}")


def slow(name, first, rest, answers):
    """Bytes that come one by one, or not at all, do not hold a connection past `timeouts.read`."""

    def run(world):
        mark, started = len(world.upstream.seen), time.monotonic()
        got = b""
        with connect(world.address) as connection:
            connection.sendall(first)
            connection.settimeout(0.05)
            while time.monotonic() - started < CUT_SECONDS:
                try:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    got += piece
                except TimeoutError:
                    send(connection, rest)
                except ConnectionError:
                    break
            else:
                raise AssertionError(f"open after {CUT_SECONDS} s with timeouts.read {READ_SECONDS} s; got {got!r}")
        found = heard(got)
        expect(found.line in answers, f"answers: {found.line!r}")
        expect(all(json.loads(answer.body) for answer in found.answers if answer.body), "not JSON")
        world.expect_forwarded(mark, [])

    return Case(f"slow {name}", "timeouts.read", run)


NOTHING = ("", "408", "400")
#: For the gate whose `timeouts.read` is short.
SLOW = [
    slow("with no byte at all", b"", b"", NOTHING),
    slow("with one byte", b"P", b"", NOTHING),
    slow("with the start of HTTP/2's preface", b"PRI * HTTP/2.0\r\n", b"", NOTHING),
    slow("in the request line", b"POST /", b"a", NOTHING),
    slow("in the head", b"POST / HTTP/1.1\r\nHost: gate\r\n", b"a: b\r\n", NOTHING),
    slow("in the head, silent", b"POST / HTTP/1.1\r\nHost: gate\r\n", b"", NOTHING),
    slow("after an answer", head(target="/nowhere"), b"", ("404", "404 408")),
    slow("in the head after an answer", head(target="/nowhere") + b"POST", b"a", ("404", "404 408", "404 400")),
    slow("in the body", head("Content-Length: 5000"), b" ", ("408",)),
    slow("in the body, silent", head("Content-Length: 5000"), b"", ("408",)),
    slow("in a chunk", head("Transfer-Encoding: chunked") + b"fff\r\n", b" ", ("408",)),
    slow("in chunks", head("Transfer-Encoding: chunked"), b"1\r\n \r\n", ("408",)),
    slow("in a chunk's extension", head("Transfer-Encoding: chunked") + b"1;", b"a", ("408",)),
    slow("in the trailers", head("Transfer-Encoding: chunked") + b"0\r\n", b"A: b\r\n", ("408",)),
    slow("before the body it announced", head("Content-Length: 9", "Expect: 100-continue"), b"", ("100 408",)),
    slow("in a chunk just below 2^64", head("Transfer-Encoding: chunked") + b"f" * 16 + b"\r\n", b"",
         ("408", "413", "400")),
    # An answer that came early: its body is not read for ever.
    slow("in a body that was refused", head("Content-Length: 50000", kind="text/plain"), b" ", ("415",)),
]  # fmt: skip

ONE_BY_ONE = (
    pipelined_answers_come_in_order, pipelined_requests_wait_for_the_first, byte_by_byte, expect_continue,
    expect_refused_without_the_body, expect_unknown, expect_in_http_1_0, upgrade_then_preface,
    half_close_after_a_whole_request, head_method_has_no_body,
)  # fmt: skip
CASES = [
    *[Case(one.__name__.replace("_", " "), one.__doc__.split(":")[0], one) for one in ONE_BY_ONE],
    *UNREAD,
    *EARLY,
    upgrade("h2c", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"),
    upgrade("websocket", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    upgrade("TLS", "Connection: Upgrade", "Upgrade: TLS/1.0"),
]  # fmt: skip
