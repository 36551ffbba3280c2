"""The head of a request: its line, its target, its header lines (RFC 9112, 2, 3 and 5; RFC 9110, 7.2).

The upstream must get the one known path, one Host of its own, and nothing that a reader of the
head could take in two ways.
"""

from checks import equal, expect

from .cases import Case
from .h1 import CHAT, EVIL, GOOD, LAST, case, head, post, shown, talk

TAKEN = {"200 200": [GOOD]}
REFUSED = {"400": []}
EITHER = TAKEN | REFUSED


def line(name, first, allow, section="RFC 9112 3", body=GOOD):
    """A request line as it is, with good headers and a good body."""
    lines = ["Host: gate", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    data = "\r\n".join([first, *lines]) + "\r\n\r\n"
    return case(f"line {name}", section, data.encode("latin-1") + body, allow)


LINES = [
    line("plain", f"POST {CHAT} HTTP/1.1", TAKEN),
    line("after an empty line", f"\r\nPOST {CHAT} HTTP/1.1", EITHER, "RFC 9112 2.2"),
    line("after a NUL", f"\0POST {CHAT} HTTP/1.1", REFUSED, "RFC 9112 2.2"),
    line("after a space", f" POST {CHAT} HTTP/1.1", REFUSED, "RFC 9112 2.2"),
    line("two spaces", f"POST  {CHAT} HTTP/1.1", REFUSED),
    line("tabs", f"POST\t{CHAT}\tHTTP/1.1", REFUSED),
    line("space at the end", f"POST {CHAT} HTTP/1.1 ", REFUSED),
    line("bare CR", f"POST {CHAT}\rHTTP/1.1", REFUSED),
    line("space in the target", f"POST {CHAT} x HTTP/1.1", REFUSED),
    line("NUL in the target", f"POST {CHAT}\0 HTTP/1.1", REFUSED),
    line("NUL in the method", f"PO\0ST {CHAT} HTTP/1.1", REFUSED),
    line("no target", "POST HTTP/1.1", REFUSED),
    line("no method", f"{CHAT} HTTP/1.1", REFUSED),
    # Without a version it is HTTP/0.9, which ends the connection with its answer.
    line("HTTP/0.9", f"GET {CHAT}", REFUSED | {"": []}, "RFC 9112 2.3"),
    *[
        line(f"version {version}", f"POST {CHAT} {version}", {"400": [], "505": []}, "RFC 9112 2.3")
        for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/1", "HTTP/11", "HTTP/01.1", "http/1.1",
                        "HTTP/1.1x", "HTTPS/1.1", "HTTP/1,1", "ICY/1.1")
    ],
    # A higher minor version is read as the highest known one, or refused.
    line("version HTTP/1.2", f"POST {CHAT} HTTP/1.2", EITHER | {"505": []}, "RFC 9112 2.3"),
    line("method in lower case", f"post {CHAT} HTTP/1.1", {"405 200": [], "501 200": []}, "RFC 9110 9.1"),
    line("unknown method", f"SCREEN {CHAT} HTTP/1.1", {"405 200": [], "501 200": []}, "RFC 9110 9.1"),
    *[
        line(f"method {method}", f"{method} {CHAT} HTTP/1.1", {"405 200": [], "405": []}, "RFC 9110 15.5.6")
        for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
    ],
    line("very long target", f"POST {CHAT}?{'a' * 300_000} HTTP/1.1", {"414": [], "431": []}, "RFC 9110 15.5.15"),
]  # fmt: skip


def target(name, written, allow, seen=CHAT, method="POST", section="RFC 9112 3.2"):
    """A request-target; what is accepted is seen by the upstream as `seen`."""
    data = post(GOOD, target=written, method=method)
    inner = case(name, section, data, allow)

    def run(world):
        mark = len(world.upstream.seen)
        inner.run(world)
        for one in world.forwarded(mark):
            equal(one.target.decode(), seen, "target at the upstream")
            own = world.upstream.url.removeprefix("http://").encode()
            equal(one.values(b"host"), [own], "Host at the upstream")

    return Case(f"target {name}", section, run)


ABSENT = {"404 200": [], "404": [], "400": [], "400 200": []}
TARGETS = [
    target("with a query", f"{CHAT}?api-version=1&x=%0d%0a", TAKEN, f"{CHAT}?api-version=1"),
    target("absolute", f"http://gate{CHAT}", EITHER),
    target("absolute of another host", f"http://other.example:1{CHAT}", EITHER),
    target("absolute of the admin plane", "http://127.0.0.1:9090/metrics", ABSENT),
    target("absolute with another scheme", f"ftp://gate{CHAT}", EITHER),
    target("absolute with user and password", f"http://a:b@gate{CHAT}", EITHER),
    target("absolute without a path", "http://gate", ABSENT),
    target("authority", "gate:443", ABSENT),
    target("asterisk", "*", ABSENT),
    target("asterisk with OPTIONS", "*", ABSENT | {"204 200": [], "200 200": [], "405 200": []}, method="OPTIONS"),
    target("CONNECT", "other.example:443", ABSENT | {"405": [], "405 200": [], "501": []}, method="CONNECT"),
    target("CONNECT to a path", CHAT, ABSENT | {"405": [], "405 200": [], "501": []}, method="CONNECT"),
    target("with a fragment", f"{CHAT}#a", EITHER | ABSENT),
    *[
        target(f"written {written!r}", written, ABSENT)
        for written in (
            f"/{CHAT}", f"{CHAT}/", f"{CHAT}//", "/v1//chat/completions", "/v1/./chat/completions",
            "/v1/x/../chat/completions", "/v1/chat%2fcompletions", "/v1/%63hat/completions",
            "/V1/chat/completions", "/v1/chat/completions;x=1", "/v1/chat\\completions",
            "/v1/chat/completions%00", "/v1/chat/completions%20", "/v1/chat/completions%0d%0aX:1",
            "/v1/%2563hat/completions", "/v1/chat/completions%3fx", "v1/chat/completions",
            "//other.example/v1/chat/completions", "/v1/chat/completions\xa0", "/v1/embeddings",
        )
    ],
]  # fmt: skip


def host(name, hosts, allow, section="RFC 9112 3.2"):
    lines = [f"Host: {one}" for one in hosts]
    return case(f"host {name}", section, post(GOOD, *lines, host=None), allow)


HOSTS = [
    host("once", ["gate"], TAKEN),
    host("with a port", ["gate:8080"], TAKEN),
    host("of another server", ["other.example"], TAKEN),
    host("in brackets", ["[::1]:80"], TAKEN),
    host("empty", [""], EITHER),
    host("missing", [], REFUSED),
    host("twice", ["gate", "other.example"], REFUSED),
    host("twice the same", ["gate", "gate"], REFUSED),
    *[
        host(f"written {value!r}", [value], REFUSED)
        for value in ("a b", "a, b", "a/b", "user@gate", "gate:port", "[::1", "gate\\", "gate?x", "\xe9", "<gate>")
    ],
    case("host missing in HTTP/1.0", "RFC 9112 3.2", post(GOOD, host=None, version="HTTP/1.0"), {"200": [GOOD]}),
    case("host against an absolute target", "RFC 9112 3.2.2",
         post(GOOD, target=f"http://one.example{CHAT}", host="two.example"), EITHER),
]  # fmt: skip


def header(name, lines, allow, section="RFC 9112 5"):
    return case(f"header {name}", section, post(GOOD, *lines), allow)


TOO_MUCH = {"431": []}
HEADERS = [
    header("space before the colon", ["X-Any : 1"], REFUSED, "RFC 9112 5.1"),
    header("tab before the colon", ["X-Any\t: 1"], REFUSED, "RFC 9112 5.1"),
    header("space before the name", ["X-One: 1", " X-Two: 2"], REFUSED, "RFC 9112 5.2"),
    header("folded with a tab", ["X-Any: 1", "\t2"], REFUSED, "RFC 9112 5.2"),
    header("empty name", [": 1"], REFUSED),
    header("no colon", ["X-Any"], REFUSED),
    header("empty value", ["X-Any:"], TAKEN),
    header("no space after the colon", ["X-Any:1"], TAKEN),
    header("Latin-1 in the value", ["X-Any: caf\xe9"], TAKEN | REFUSED, "RFC 9110 5.5"),
    header("tab in the value", ["X-Any: a\tb"], TAKEN | REFUSED, "RFC 9110 5.5"),
    *[
        header(f"{what} in the value", [f"X-Any: a{char}b"], REFUSED, "RFC 9110 5.5")
        for what, char in (("NUL", "\0"), ("bare CR", "\r"), ("DEL", "\x7f"), ("ESC", "\x1b"), ("VT", "\x0b"))
    ],
    *[
        header(f"{char!r} in the name", [f"X{char}Any: 1"], REFUSED, "RFC 9110 5.1")
        for char in ("\0", " ", "(", "/", "@", "[", "\"", "\xe9", "\x7f", "\r")
    ],
    header("very long", ["X-Any: " + "a" * 100_000], TOO_MUCH, "RFC 6585 5"),
    header("very long name", ["X" * 100_000 + ": 1"], TOO_MUCH, "RFC 6585 5"),
    header("very many", [f"X-{number}: 1" for number in range(2000)], TOO_MUCH, "RFC 6585 5"),
]  # fmt: skip


def bare_lf(name, data, allow):
    return case(f"bare LF {name}", "RFC 9112 2.2", data, allow)


#: A lone LF may end a line; the upstream then gets CR LF, which its strict reader checks.
BARE_LF = [
    bare_lf("everywhere", post(b"").replace(b"\r\n", b"\n").replace(b": 0", b": %d" % len(GOOD)) + GOOD, EITHER),
    bare_lf("once", post(GOOD, "X-One: 1\nX-Two: 2"), EITHER),
    bare_lf("twice ends the head", head("X-One: 1\n\nX-Two: 2", f"Content-Length: {len(GOOD)}") + GOOD,
            REFUSED | {"400 400": []}),
    bare_lf("before a hidden length", head(f"X-One: 1\nContent-Length: {len(GOOD)}") + GOOD, EITHER),
    bare_lf("CR CR LF", post(GOOD, "X-One: 1\r"), REFUSED),
]  # fmt: skip


def http_1_0(name, data, answers, bodies):
    """HTTP/1.0: the connection goes on only when both sides say so."""

    def run(world):
        mark = len(world.upstream.seen)
        found = talk(world.address, data + LAST)
        equal(found.line, answers, f"answers to {shown(data)}")
        for answer in found.answers:
            expect(not answer.values("transfer-encoding"), "a chunked answer to HTTP/1.0")
        world.expect_forwarded(mark, bodies)

    return Case(f"HTTP/1.0 {name}", "RFC 9112 9.3", run)


HTTP_1_0 = [
    http_1_0("closes", post(GOOD, version="HTTP/1.0"), "200", [GOOD]),
    http_1_0("keep-alive", post(GOOD, "Connection: keep-alive", version="HTTP/1.0"), "200 200", [GOOD]),
    http_1_0("close beside keep-alive", post(GOOD, "Connection: keep-alive, close", version="HTTP/1.0"), "200", [GOOD]),
    http_1_0("is screened", post(EVIL, version="HTTP/1.0"), "200", []),
]


def hop_by_hop(world):
    """RFC 9110 7.6.1: headers of one connection stay here; the others go on as they came."""
    mark = len(world.upstream.seen)
    stay = [
        "Connection: x-hop, keep-alive, Upgrade", "X-Hop: 1", "Keep-Alive: timeout=5", "TE: trailers",
        "Trailer: x-any", "Upgrade: foo/2", "Proxy-Connection: close", "Proxy-Authorization: Basic YTpi",
        "X-Portcullis-Subject: root", "x-portcullis-action: allow", "X-PORTCULLIS-ANY: 1",
    ]  # fmt: skip
    go = ["Authorization: Bearer key", "X-Custom: a", "X-Custom: b", "OpenAI-Organization: org"]
    found = talk(world.address, post(GOOD, *stay, *go) + LAST)
    equal(found.line, "200 200", "answers")
    world.expect_forwarded(mark, [GOOD])
    (request,) = world.forwarded(mark)
    equal(request.values(b"x-custom"), [b"a", b"b"], "x-custom")
    equal(request.values(b"authorization"), [b"Bearer key"], "authorization")
    equal(request.values(b"content-length"), [b"%d" % len(GOOD)], "content-length")
    for line in stay:
        name = line.partition(":")[0].lower().encode()
        equal(request.values(name), [], f"{name} at the upstream")


CASES = [*LINES, *TARGETS, *HOSTS, *HEADERS, *BARE_LF, *HTTP_1_0,
         Case("hop-by-hop headers stay", "RFC 9110 7.6.1", hop_by_hop)]  # fmt: skip
