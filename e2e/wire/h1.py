"""A client that sends any bytes and reads answers in HTTP/1 until the connection ends."""

import json
import re
import socket
from dataclasses import dataclass

from checks import expect
from gate import SECRET

from .cases import Case

#: Longer than any case may take; an answer that has not come by then never comes.
PATIENCE = 8
CHAT = "/v1/chat/completions"
#: Ends every conversation, so that the number of answers shows how many requests were read.
LAST = b"GET /v1/models HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n"


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes

    def values(self, name):
        return [value for other, value in self.headers if other == name]

    def value(self, name):
        return (self.values(name) or [""])[0]


@dataclass
class Heard:
    answers: list
    #: Bytes after the last whole answer.
    rest: bytes

    @property
    def line(self):
        """The statuses, as the tables write them; `` when there was no answer at all."""
        return " ".join(str(answer.status) for answer in self.answers)


def chat(text):
    message = {"role": "user", "content": text}
    return json.dumps({"model": "m", "messages": [message]}).encode()


#: What is harmless, and what the policy refuses.
GOOD = chat("how do I bake bread")
EVIL = chat(SECRET)


def head(*lines, target=CHAT, method="POST", version="HTTP/1.1", host="gate", kind="application/json"):
    """A request head; lines are text or bytes and come after Host and Content-Type."""
    all_lines = [f"{method} {target} {version}"]
    all_lines += [f"Host: {host}"] if host is not None else []
    all_lines += [f"Content-Type: {kind}"] if kind is not None else []
    return b"\r\n".join(map(octets, [*all_lines, *lines])) + b"\r\n\r\n"


def octets(line):
    return line if isinstance(line, bytes) else line.encode("latin-1")


def post(body, *lines, **parts):
    """A request with the right length."""
    return head(*lines, f"Content-Length: {len(body)}", **parts) + body


def chunk(data, size=None, extension=b""):
    size = b"%x" % len(data) if size is None else octets(size)
    return size + extension + b"\r\n" + data + b"\r\n"


def chunked(*chunks, end=b"0\r\n\r\n", lines=(), **parts):
    """A request in chunks."""
    return head("Transfer-Encoding: chunked", *lines, **parts) + b"".join(chunks) + end


def connect(address, patience=PATIENCE):
    connection = socket.create_connection(address, timeout=patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection, data):
    """Sends; a gate that hung up in the middle is seen when reading."""
    try:
        connection.sendall(data)
    except OSError:
        pass


def read_to_end(connection):
    """Everything until the gate ends the connection."""
    got = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionError:
            return got
        except TimeoutError:
            raise AssertionError(f"the connection was not ended; got {got[:300]!r}") from None
        if not piece:
            return got
        got += piece


def talk(address, data):
    """Sends `data` at once and reads until the gate ends the connection."""
    with connect(address) as connection:
        send(connection, data)
        return heard(read_to_end(connection))


def heard(got):
    answers = []
    while match := re.match(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n", got):
        rest = got[match.end() :]
        fields = [line.partition(b":") for line in match[2].split(b"\r\n")[:-1]]
        headers = [(name.decode().lower(), value.strip().decode()) for name, _, value in fields]
        answer = Answer(int(match[1]), headers, b"")
        body = read_body(answer, rest)
        if body is None:
            break
        answer.body, got = body
        answers.append(answer)
    return Heard(answers, got)


def read_body(answer, rest):
    """The body and what follows it; `None` when it is not whole."""
    if answer.status < 200 or answer.status in (204, 304):
        return b"", rest
    if answer.value("transfer-encoding") == "chunked":
        body = b""
        while match := re.match(rb"([0-9a-fA-F]+)\r\n", rest):
            size, start = int(match[1], 16), match.end()
            if rest[start + size : start + size + 2] != b"\r\n":
                return None
            body, rest = body + rest[start : start + size], rest[start + size + 2 :]
            if size == 0:
                return body, rest
        return None
    if not answer.values("content-length"):
        return rest, b""
    length = int(answer.value("content-length"))
    return (rest[:length], rest[length:]) if length <= len(rest) else None


def case(name, section, data, allow):
    """`data`, then LAST: the statuses must be one of `allow`, which says what the upstream got.

    `allow` is `{"200 200": [GOOD], "400": []}`: accepted with that body and the connection goes
    on, or refused and ended.
    """

    def run(world):
        mark = len(world.upstream.seen)
        found = talk(world.address, data + LAST)
        told = [answer.body[:200] for answer in found.answers]
        expect(found.line in allow, f"sent {shown(data)}: found {found.line!r}, wanted {list(allow)}: {told}")
        expect(not found.rest, f"{found.rest[:200]!r} after the last answer")
        world.expect_forwarded(mark, allow[found.line])

    return Case(name, section, run)


def shown(data):
    text = repr(data)
    return text if len(text) < 400 else f"{text[:300]}… ({len(data)} bytes)"
