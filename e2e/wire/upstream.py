"""An upstream on raw sockets: reads as strictly as RFC 9112 allows and keeps every byte.

The request header `x-script` names what it answers (`RawUpstream.scripts`); without it, a chat
completion, or a list of models for GET.
"""

import json
import re
import socket
import threading
from dataclasses import dataclass

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


@dataclass
class Request:
    """A request as it arrived."""

    head: bytes
    body: bytes
    method: bytes
    target: bytes
    headers: list

    @property
    def raw(self):
        return self.head + self.body

    def values(self, name):
        return [value for other, value in self.headers if other == name]


class Fault(Exception):
    """What a strict reader refuses."""


def completion(text="Bread needs flour."):
    message = {"role": "assistant", "content": text}
    return json.dumps({
        "id": "chatcmpl-wire", "object": "chat.completion", "created": 1, "model": "wire",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }).encode()  # fmt: skip


def whole(body, *lines, status=b"200 OK", length=True):
    """An answer in HTTP/1.1 with the given header lines."""
    head = [b"HTTP/1.1 " + status, b"Content-Type: application/json", *lines]
    if length:
        head.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(head) + b"\r\n\r\n" + body


MODELS = b'{"object":"list","data":[]}'


class RawUpstream:
    """The server, on a free port of loopback."""

    def __init__(self):
        self.seen, self.faults = [], []
        #: `{name: (bytes, closes)}`: what is answered, and whether the connection ends then.
        self.scripts = {b"": (whole(completion()), False)}
        #: While it is clear, no request is answered.
        self.open = threading.Event()
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as file:
            try:
                while request := read_request(file):
                    self.seen.append(request)
                    self.open.wait(20)
                    if self.answer(connection, request):
                        return
            except Fault as fault:
                self.faults.append(str(fault))
            except OSError:
                return  # the gate hung up, as it may

    def answer(self, connection, request):
        script = (request.values(b"x-script") or [b""])[0]
        answer, closes = self.scripts[script]
        if request.method == b"GET" and not script:
            answer = whole(MODELS)
        connection.sendall(answer)
        return closes


def read_request(file):
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline()
        if not line:
            if head:
                raise Fault(f"broke off in the head: {head!r}")
            return None
        if not line.endswith(b"\r\n"):
            raise Fault(f"bare LF: {line!r}")
        head += line
    first, *lines = head[:-4].split(b"\r\n")
    match = re.fullmatch(rb"([A-Z]+) (/[!-~]*) HTTP/1\.1", first)
    if not match:
        raise Fault(f"request line {first!r}")
    headers = [read_header(line) for line in lines]
    request = Request(head, b"", match[1], match[2], headers)
    if len(request.values(b"host")) != 1:
        raise Fault(f"not one Host: {head!r}")
    lengths = request.values(b"content-length")
    if request.values(b"transfer-encoding") or len(lengths) > 1:
        raise Fault(f"framing: {head!r}")
    if lengths and not lengths[0].isdigit():
        raise Fault(f"content-length {lengths[0]!r}")
    request.body = file.read(int(lengths[0])) if lengths else b""
    return request


def read_header(line):
    name, colon, value = line.partition(b":")
    if not colon or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
        raise Fault(f"header line {line!r}")
    return name.lower(), value.strip(b" \t")
