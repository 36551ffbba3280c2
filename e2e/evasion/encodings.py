"""Content encodings that the standard library does not write.

Neither compresses: both formats have a way to carry bytes as they are, and a decoder must read it.
"""

import struct


def brotli(data):
    """RFC 7932: one uncompressed meta-block, then an empty last one."""
    out, at = b"", 0
    while at < len(data):
        piece = data[at : at + (1 << 16)]
        # The window's size (one bit, at the start only), ISLAST 0, MNIBBLES 0, MLEN - 1, ISUNCOMPRESSED 1.
        bits = (len(piece) - 1) << 3 | 1 << 19
        out += (bits << (at == 0)).to_bytes(3, "little") + piece
        at += len(piece)
    return out + b"\x03"


def zstd(data):
    """RFC 8878: one frame of raw blocks with its size in the header."""
    pieces = [data[at : at + (1 << 16)] for at in range(0, len(data), 1 << 16)]
    blocks = [
        (len(piece) << 3 | (idx == len(pieces) - 1)).to_bytes(3, "little") + piece
        for idx, piece in enumerate(pieces)
    ]
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + b"".join(blocks)
