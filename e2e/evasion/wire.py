"""HTTP by hand: a client that can send what no library would."""

import socket
from dataclasses import dataclass, field

TIMEOUT = 8


@dataclass
class Reply:
    #: `None`: the connection was closed without an answer.
    status: int | None = None
    headers: dict = field(default_factory=dict)
    body: bytes = b""
    #: Whether the body came to its proper end.
    whole: bool = True

    def __str__(self):
        end = "" if self.whole else ", cut off"
        return f"{self.status} {self.body[:160]!r}{end}"


class Reader:
    """Bytes of a socket, by lines and counts."""

    def __init__(self, sock):
        self.sock, self.held = sock, b""

    def more(self):
        try:
            piece = self.sock.recv(1 << 16)
        except (TimeoutError, ConnectionError):
            piece = b""
        self.held += piece
        return bool(piece)

    def until(self, mark):
        while mark not in self.held:
            if not self.more():
                return None
        head, self.held = self.held.split(mark, 1)
        return head

    def exactly(self, count):
        while len(self.held) < count:
            if not self.more():
                return None
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def rest(self):
        while self.more():
            pass
        taken, self.held = self.held, b""
        return taken


def head_of(reader):
    """The first line and the headers of a message; `None` at the end."""
    head = reader.until(b"\r\n\r\n")
    if head is None:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first, headers


def chunks_of(reader):
    """A chunked body, and whether its end came."""
    body = b""
    while True:
        size = reader.until(b"\r\n")
        if size is None:
            return body, False
        count = int(size.split(b";")[0], 16)
        if count == 0:
            return body, reader.until(b"\r\n") is not None
        piece = reader.exactly(count)
        if piece is None:
            return body + reader.rest(), False
        body += piece
        reader.exactly(2)


def read_reply(reader):
    head = head_of(reader)
    if head is None:
        return Reply(None)
    first, headers = head
    status = int(first.split(" ")[1])
    if status == 100:
        return read_reply(reader)
    if "chunked" in headers.get("transfer-encoding", ""):
        body, whole = chunks_of(reader)
    elif "content-length" in headers:
        body = reader.exactly(int(headers["content-length"]))
        whole = body is not None
    else:
        body, whole = reader.rest(), True
    return Reply(status, headers, body or b"", whole)


def connect(address):
    sock = socket.create_connection(address, timeout=TIMEOUT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def send(address, http, key):
    """Sends a request in the name of `key`, and reads the answer."""
    with connect(address) as sock:
        if http.talk:
            return http.talk(sock, http, key)
        host = "%s:%d" % address
        request = http.raw(host, key) if http.raw else framed(http, host, key)
        try:
            for piece in request if isinstance(request, list) else [request]:
                sock.sendall(piece)
        except ConnectionError:
            pass  # refused before it was sent whole; the answer may still be there
        return read_reply(Reader(sock))


def framed(http, host, key):
    framing, body = by_length(http.body) if http.framing is None else http.framing(http.body)
    pairs = [("host", host), ("connection", "close"), ("authorization", f"Bearer {key}")]
    return head_bytes(http.method, http.target, pairs + http.headers + framing) + body


def head_bytes(method, target, pairs, version="HTTP/1.1"):
    lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in pairs]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def by_length(body):
    return [("content-length", str(len(body)))], body


def by_chunks(size=None, extension="", trailers=""):
    """A framing in chunks of so many bytes."""

    def frame(body):
        step = size or max(len(body), 1)
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        chunks = [b"%x%s\r\n%s\r\n" % (len(piece), extension.encode(), piece) for piece in pieces]
        end = b"0\r\n" + trailers.encode() + b"\r\n"
        return [("transfer-encoding", "chunked")], b"".join(chunks) + end

    return frame
