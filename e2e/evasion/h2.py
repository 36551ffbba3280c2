"""HTTP/2 by hand over a plain socket: enough to send a request in odd frames."""

import struct

from .wire import Reader, Reply

DATA, HEADERS, RST, SETTINGS, GOAWAY, CONTINUATION = 0, 1, 3, 4, 7, 9
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
#: Answers that stand in the static table of HPACK.
STATUS = {0x88: 200, 0x89: 204, 0x8A: 206, 0x8B: 304, 0x8C: 400, 0x8D: 404, 0x8E: 500}


def frame(kind, flags, stream, payload=b""):
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


def literal(name, value):
    """A header that no table knows, without Huffman coding; both shorter than 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def exchange(pairs, frames):
    """Sends these headers and then `frames(block)`; returns what a case needs as `talk`."""

    def talk(sock, http, key):
        asked = [*pairs(http), ("authorization", f"Bearer {key}")]
        block = b"".join(literal(name, value) for name, value in asked)
        opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0)
        try:
            sock.sendall(opening + frames(block, http.body))
        except ConnectionError:
            pass  # the answer may still be there
        return answer(Reader(sock), sock)

    return talk


def answer(reader, sock):
    reply = Reply(None, {}, b"")
    while True:
        head = reader.exactly(9)
        if head is None:
            return reply
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        payload = reader.exactly(size) or b""
        if kind == SETTINGS and not flags & 1:
            sock.sendall(frame(SETTINGS, 1, 0))
        elif kind == HEADERS and stream == 1:
            reply.status = status_of(payload)
        elif kind == DATA and stream == 1:
            reply.body += payload
        if kind in (RST, GOAWAY) or (
            stream == 1 and kind in (DATA, HEADERS) and flags & END_STREAM
        ):
            return reply


def status_of(block):
    """The status is the first field: from the table, or under its name (8) in plain digits or Huffman's."""
    if block[0] in STATUS:
        return STATUS[block[0]]
    digits = block[2 : 2 + (block[1] & 0x7F)]
    if not block[1] & 0x80:
        return int(digits)
    codes = {f"{code:05b}": str(code) for code in (0, 1, 2)} | {
        f"{0x19 + at:06b}": str(3 + at) for at in range(7)
    }
    bits, out = "".join(f"{byte:08b}" for byte in digits), ""
    while len(out) < 3:
        length = 5 if bits[:5] in codes else 6
        out, bits = out + codes[bits[:length]], bits[length:]
    return int(out)


def ordinary(http, method="POST", path=None, kind="application/json"):
    pairs = [
        (":method", method),
        (":scheme", "http"),
        (":path", path or http.target),
        (":authority", "gate"),
    ]
    return [*pairs, ("content-type", kind)]


def in_one(block, body):
    return frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, END_STREAM, 1, body)


def letter_a_frame(block, body):
    pieces = b"".join(frame(DATA, 0, 1, body[at : at + 1]) for at in range(len(body)))
    return frame(HEADERS, END_HEADERS, 1, block) + pieces + frame(DATA, END_STREAM, 1)


def padded(block, body):
    half = len(body) // 2
    put = [bytes([9]) + piece + b"\x00" * 9 for piece in (body[:half], body[half:])]
    return (frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, PADDED, 1, put[0])
            + frame(DATA, PADDED | END_STREAM, 1, put[1]))  # fmt: skip


def continued(block, body):
    pieces = [block[at : at + 32] for at in range(0, len(block), 32)]
    rest = [
        frame(CONTINUATION, END_HEADERS * (at == len(pieces) - 2), 1, one)
        for at, one in enumerate(pieces[1:])
    ]
    return frame(HEADERS, 0, 1, pieces[0]) + b"".join(rest) + frame(DATA, END_STREAM, 1, body)


def with_trailers(name, value):
    def frames(block, body):
        end = frame(HEADERS, END_HEADERS | END_STREAM, 1, literal(name, value))
        return frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, 0, 1, body) + end

    return frames
