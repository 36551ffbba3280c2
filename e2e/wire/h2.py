"""A client of HTTP/2 that sends any frames and says what became of a stream."""

import socket
import struct

from checks import expect
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hyperframe.frame import Frame

from .cases import Case
from .h1 import CHAT, GOOD, PATIENCE, send

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, WITH_PRIORITY, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
#: The length of a frame that everybody must take.
LARGEST = 2**14
CODES = [
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
]  # fmt: skip

MODELS = [(":method", "GET"), (":scheme", "http"), (":path", "/v1/models"), (":authority", "gate")]
ASK = [
    (":method", "POST"), (":scheme", "http"), (":path", CHAT), (":authority", "gate"),
    ("content-type", "application/json"),
]  # fmt: skip


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    length = len(payload) if length is None else length
    return struct.pack(">I", length)[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst(stream, code=8):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def code_name(code):
    return CODES[code] if code < len(CODES) else f"0x{code:x}"


class Connection:
    """One connection; `first` are the frames after the preface."""

    def __init__(self, address, first=None, patience=PATIENCE, preface=PREFACE):
        self.socket = socket.create_connection(address, timeout=patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.decoder.max_header_list_size = 2**20
        self.buffer, self.frames = b"", []
        #: By stream: the header fields and the body that came.
        self.fields, self.bodies = {}, {}
        self.send(preface + (settings() if first is None else first))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        send(self.socket, b"".join(frames))

    def block(self, fields):
        return self.encoder.encode(fields)

    def headers(self, stream, fields, flags=END_STREAM | END_HEADERS):
        return frame(HEADERS, flags, stream, self.block(fields))

    def post(self, stream, body, *fields):
        """A whole prompt."""
        return self.headers(stream, [*ASK, *fields], END_HEADERS) + frame(DATA, END_STREAM, stream, body)

    def next(self):
        """The next frame, `None` when the gate ended the connection."""
        while True:
            if len(self.buffer) >= 9:
                parsed, length = Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) >= 9 + length:
                    parsed.parse_body(memoryview(self.buffer[9 : 9 + length]))
                    self.buffer = self.buffer[9 + length :]
                    return self.keep(parsed)
            try:
                piece = self.socket.recv(65536)
            except ConnectionError:
                return None
            except TimeoutError:
                raise AssertionError(f"nothing more came; so far {self.frames[-6:]}") from None
            if not piece:
                return None
            self.buffer += piece

    def keep(self, one):
        self.frames.append(one)
        if one.type == SETTINGS and "ACK" not in one.flags:
            self.send(frame(SETTINGS, ACK))
        if one.type == HEADERS:
            expect("END_HEADERS" in one.flags, "an answer's head of several frames")
            try:
                decoded = self.decoder.decode(one.data)
            except HPACKError as error:
                raise AssertionError(f"an answer's head does not decode: {error}") from None
            self.fields.setdefault(one.stream_id, []).extend(decoded)
        if one.type == DATA:
            self.bodies[one.stream_id] = self.bodies.get(one.stream_id, b"") + one.data
        return one

    def until(self, what):
        """The first frame that `what` is true of; `None` when the connection ended before."""
        while one := self.next():
            if what(one):
                return one
        return None

    def becomes(self, stream=1):
        """What became of a stream: `answer 200`, `RST code`, `GOAWAY code` or `closed`."""
        while one := self.next():
            if one.type == GOAWAY and one.error_code:
                # A connection error ends the connection too (RFC 9113, 5.4.1).
                self.until(lambda _: False)
                return f"GOAWAY {code_name(one.error_code)}"
            if one.stream_id != stream:
                continue
            if one.type == RST_STREAM:
                return f"RST {code_name(one.error_code)}"
            if one.type in (HEADERS, DATA) and "END_STREAM" in one.flags:
                return f"answer {self.status(stream)}"
        return "closed"

    def status(self, stream):
        return dict(self.fields[stream])[":status"]

    def lives(self, stream=4001):
        """Whether the connection still answers."""
        self.send(self.headers(stream, MODELS))
        became = self.becomes(stream)
        expect(became == "answer 200", f"a request afterwards: {became}")


#: What a stream may become.
ANSWERED = {"answer 200"}
ENDED = {"closed"}


def connection_error(*codes):
    """RFC 9113, 5.4.1: GOAWAY should be sent, so a bare end will do."""
    return {f"GOAWAY {code}" for code in codes} | ENDED


def stream_error(*codes):
    """RFC 9113, 5.4.2: any stream error may be treated as one of the connection."""
    return {f"RST {code}" for code in codes} | connection_error(*codes)


PROTOCOL = connection_error("PROTOCOL_ERROR")
SIZE = connection_error("FRAME_SIZE_ERROR")
MALFORMED = stream_error("PROTOCOL_ERROR")


def case(name, section, frames, allow, stream=1, first=None, upstream=(), held=False):
    """Sends `frames(connection)`; the stream must become one of `allow`.

    `upstream`: the prompts that it may get when the stream is answered. `held`: no answer comes
    before all is sent, so that the stream is still half closed when it is.
    """

    def run(world):
        mark = len(world.upstream.seen)
        if held:
            world.upstream.open.clear()
        try:
            with Connection(world.address, first) as connection:
                connection.send(frames(connection))
                if held:
                    # The gate has read everything before this ping once it answers it.
                    connection.send(frame(PING, payload=b"in order"))
                    connection.until(lambda one: one.type == PING or one.type == GOAWAY)
                    world.upstream.open.set()
                    seen = [one for one in connection.frames if one.type in (GOAWAY, RST_STREAM)]
                    became = error_of(seen, stream) or connection.becomes(stream)
                else:
                    became = connection.becomes(stream)
                expect(became in allow, f"it became {became!r}, wanted one of {sorted(allow)}")
                if became.startswith(("RST", "answer")):
                    # A stream's error is not its connection's.
                    connection.lives()
        finally:
            world.upstream.open.set()
        world.expect_forwarded(mark, list(upstream) if became in ANSWERED else [])

    return Case(name, f"RFC {section}", run)


def error_of(frames, stream):
    for one in frames:
        if one.type == GOAWAY:
            return f"GOAWAY {code_name(one.error_code)}"
        if one.stream_id == stream:
            return f"RST {code_name(one.error_code)}"
    return None


def asked(name, section, fields, allow, body=GOOD, replace=None):
    """A prompt with other header fields: `fields` are added, `replace` changes or (`None`) drops some."""
    kept = [(key, (replace or {}).get(key, value)) for key, value in ASK]
    kept = [(key, value) for key, value in kept if value is not None]

    def frames(connection):
        head = connection.headers(1, [*kept, *fields], END_HEADERS)
        return head + frame(DATA, END_STREAM, 1, body)

    return case(name, section, frames, allow, upstream=[body])
