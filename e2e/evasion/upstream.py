"""The upstream of the suite: keeps every byte it got, answers what the case says."""

import socket
import threading
import time
from dataclasses import dataclass, field

from . import wire


@dataclass
class Got:
    """A request as it arrived."""

    first: str
    headers: dict
    body: bytes
    raw: bytes = field(repr=False, default=b"")


class Upstream:
    def __init__(self):
        self.answer = None
        self.got = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def taken(self):
        """What has arrived since the last call."""
        got, self.got = self.got, []
        return got

    def serve(self, sock):
        reader = wire.Reader(sock)
        with sock:
            while True:
                head = wire.head_of(reader)
                if head is None:
                    return
                first, headers = head
                if "chunked" in headers.get("transfer-encoding", ""):
                    body, _ = wire.chunks_of(reader)
                else:
                    body = reader.exactly(int(headers.get("content-length", 0))) or b""
                raw = (first + repr(headers)).encode() + body
                self.got.append(Got(first, headers, body, raw))
                try:
                    if not self.send(sock, self.answer):
                        return
                except OSError:
                    return  # the gate hung up, as it does when it blocks

    @staticmethod
    def send(sock, answer):
        """Writes an answer; returns whether the connection can be used again."""
        pairs = list(answer.headers)
        if answer.framing == "chunked":
            pairs.append(("transfer-encoding", "chunked"))
        elif answer.framing == "length":
            pairs.append(("content-length", str(sum(map(len, answer.frames)))))
        else:
            pairs.append(("connection", "close"))
        lines = [f"HTTP/1.1 {answer.status} OK"] + [f"{name}: {value}" for name, value in pairs]
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        for frame in answer.frames:
            time.sleep(answer.pause)
            sock.sendall(
                b"%x\r\n%s\r\n" % (len(frame), frame) if answer.framing == "chunked" else frame
            )
        if answer.framing == "chunked":
            sock.sendall(b"0\r\n\r\n")
        return answer.framing != "close"
