"""Where a request ends: Content-Length, Transfer-Encoding, chunks, trailers (RFC 9112, 6 and 7).

Every case that may be refused hides a whole second request in the part that a lenient reader
would take for one; the number of answers shows who read it.
"""

from .h1 import EVIL, GOOD, case, chunk, chunked, head, post

SMUGGLED = post(EVIL)
LENGTH = len(GOOD)
#: Accepted, and the connection goes on.
TAKEN = {"200 200": [GOOD]}
#: Refused, and the connection ended.
REFUSED = {"400": []}
#: Accepted, and the connection ended, so that nothing after it is a request.
TAKEN_AND_ENDED = {"200": [GOOD]}


def length(name, *lines, allow=REFUSED, body=GOOD):
    return case(f"length {name}", "RFC 9112 6.3", head(*lines) + body, allow)


LENGTHS = [
    length("once", f"Content-Length: {LENGTH}", allow=TAKEN),
    length("leading zeros", f"Content-Length: 000{LENGTH}", allow=TAKEN),
    length("spaces around", f"Content-Length: \t {LENGTH} \t", allow=TAKEN),
    length("twice equal", *[f"Content-Length: {LENGTH}"] * 2, allow=TAKEN | REFUSED),
    length("list of equals", f"Content-Length: {LENGTH}, {LENGTH}", allow=TAKEN | REFUSED),
    length("twice, larger last", "Content-Length: 0", f"Content-Length: {LENGTH}", body=SMUGGLED),
    length("twice, smaller last", f"Content-Length: {LENGTH}", "Content-Length: 0", body=SMUGGLED),
    length("list of unequals", f"Content-Length: 0, {LENGTH}", body=SMUGGLED),
    length("twice, one in words", f"Content-Length: {LENGTH}", "Content-Length: many"),
    *[
        length(f"written {value!r}", f"Content-Length: {value}", body=SMUGGLED)
        for value in (
            f"+{LENGTH}", f"-{LENGTH}", f"0x{LENGTH:x}", f"{LENGTH} 0", f"{LENGTH}.0", "1e2", "",
            f"'{LENGTH}'", f"{LENGTH};", f"{LENGTH}\x0b", f"\x0c{LENGTH}", "18446744073709551616",
            f"{2**64 + LENGTH}", f"{2**128 + LENGTH}", "\xb2", ",",
        )
    ],
    length("larger than the limit", "Content-Length: 9999999", allow={"413": []}, body=b""),
    length("zero", "Content-Length: 0", allow={"400 200": []}, body=b""),
    length("missing", allow={"400 200": [], "411 200": [], "411": []}, body=b""),
    # Without a length the body is a request of its own, which is none.
    length("missing before a body", allow={"400 400": [], "400": [], "411": []}),
    length("too small", f"Content-Length: {LENGTH - 1}", allow={"400 400": [], "400": []}),
    length("hidden by space before the colon", f"Content-Length : {LENGTH}", body=SMUGGLED),
    length("with an underscore", f"Content_Length: {LENGTH}", body=b"", allow={"400 200": []}),
]  # fmt: skip


def coding(name, *lines, allow=REFUSED, version="HTTP/1.1"):
    """The body in chunks, and behind it what is read as a request when they are not seen."""
    data = head(*lines, version=version) + chunk(GOOD) + b"0\r\n\r\n"
    return case(f"coding {name}", "RFC 9112 6.1", data, allow)


NOT_KNOWN = {"400": [], "501": []}

CODINGS = [
    coding("chunked", "Transfer-Encoding: chunked", allow=TAKEN),
    coding("in capitals", "tRANSFER-ENCODING: CHUNKED", allow=TAKEN),
    coding("space around", "Transfer-Encoding:  \tchunked\t ", allow=TAKEN),
    # An empty member of a list is to be ignored (RFC 9110 5.6.1.2), or refused.
    coding("comma before", "Transfer-Encoding: ,chunked", allow=TAKEN | REFUSED | TAKEN_AND_ENDED),
    coding("comma after", "Transfer-Encoding: chunked,", allow=TAKEN | REFUSED | TAKEN_AND_ENDED),
    *[
        coding(f"written {value!r}", f"Transfer-Encoding: {value}", allow=NOT_KNOWN)
        for value in (
            "xchunked", "chunkedx", "\x0bchunked", "chunked\x0b", "chunked\x0c", "x chunked",
            "chunked x", "chunked, identity", "identity", "chunked;q=1", "\"chunked\"", "'chunked'",
            "gzip", "chunked, gzip", "chunk", "", "chu\tnked", "\xa0chunked", "chunked\x00", "cow",
        )
    ],
    # A sender must not apply it twice; the upstream gets neither.
    coding("chunked, chunked", "Transfer-Encoding: chunked, chunked", allow=NOT_KNOWN),
    coding("chunked in two lines", *["Transfer-Encoding: chunked"] * 2, allow=NOT_KNOWN),
    # A coding below chunked that we do not read would leave its bytes unread.
    coding("identity, chunked", "Transfer-Encoding: identity, chunked", allow=NOT_KNOWN),
    coding("gzip, chunked", "Transfer-Encoding: gzip, chunked", allow=NOT_KNOWN),
    coding("cow below chunked", "Transfer-Encoding: cow", "Transfer-Encoding: chunked", allow=NOT_KNOWN),
    coding("chunked then cow", "Transfer-Encoding: chunked", "Transfer-Encoding: cow", allow=NOT_KNOWN),
    coding("space before the colon", "Transfer-Encoding : chunked"),
    coding("tab before the colon", "Transfer-Encoding\t: chunked"),
    coding("folded", "Transfer-Encoding:", " chunked", allow=REFUSED | TAKEN),
    coding("folded onto another", "X-Any: a", " Transfer-Encoding: chunked"),
    coding("behind a bare CR", "X-Any: a\rTransfer-Encoding: chunked"),
    coding("control before the name", "\x0bTransfer-Encoding: chunked"),
    coding("in HTTP/1.0", "Transfer-Encoding: chunked", "Connection: keep-alive", version="HTTP/1.0"),
]  # fmt: skip


def both(name, length, body, allow, section="RFC 9112 6.3"):
    """Content-Length beside Transfer-Encoding, in both orders: refused, or chunked and then ended."""
    lines = [f"Content-Length: {length}", "Transfer-Encoding: chunked"]
    return [
        case(f"both {name}, length first", section, head(*lines) + body, allow),
        case(f"both {name}, length last", section, head(*reversed(lines)) + body, allow),
    ]


EMPTY_CHUNKS = b"0\r\n\r\n"
BOTH = [
    *both("agreeing", len(chunk(GOOD) + EMPTY_CHUNKS), chunk(GOOD) + EMPTY_CHUNKS,
          REFUSED | TAKEN_AND_ENDED),
    # CL.TE: who goes by the length takes the hidden request for a body.
    *both("CL.TE", len(EMPTY_CHUNKS + SMUGGLED), EMPTY_CHUNKS + SMUGGLED, REFUSED),
    # TE.CL: who goes by the chunks takes the hidden request for a chunk.
    *both("TE.CL", 4, chunk(SMUGGLED) + EMPTY_CHUNKS, REFUSED),
    *[
        case(f"both, coding written {value!r}", "RFC 9112 6.3",
             head(f"Content-Length: {len(EMPTY_CHUNKS)}", f"Transfer-Encoding: {value}")
             + EMPTY_CHUNKS + SMUGGLED, NOT_KNOWN)
        for value in ("xchunked", "identity", "\x0bchunked", "chunked, identity")
    ],
]  # fmt: skip


def size(name, *chunks, allow=REFUSED, end=EMPTY_CHUNKS):
    return case(f"chunk {name}", "RFC 9112 7.1", chunked(*chunks, end=end), allow)


HALF = LENGTH // 2
HEX = f"{LENGTH:x}"
CHUNKS = [
    size("two", chunk(GOOD[:HALF]), chunk(GOOD[HALF:]), allow=TAKEN),
    size("one byte each", *[chunk(GOOD[i : i + 1]) for i in range(LENGTH)], allow=TAKEN),
    size("upper case", chunk(GOOD[:10], "A"), chunk(GOOD[10:]), allow=TAKEN),
    size("leading zeros", chunk(GOOD, f"0000{HEX}"), allow=TAKEN),
    size("extension", chunk(GOOD, extension=b";a=b"), allow=TAKEN),
    size("quoted extension", chunk(GOOD, extension=b';a="b;c d"'), allow=TAKEN),
    size("extension without a value", chunk(GOOD, extension=b";a"), allow=TAKEN),
    size("extension after a space", chunk(GOOD, extension=b" ;a=b"), allow=TAKEN | REFUSED),
    size("extension on the last", chunk(GOOD), end=b"0;a=b\r\n\r\n", allow=TAKEN),
    size("last written with many zeros", chunk(GOOD), end=b"000\r\n\r\n", allow=TAKEN),
    # TERM.EXT and EXT.TERM: a lone LF ends the line for one reader and not for the other.
    size("LF in an extension", b"2;\nxx\r\n" + chunk(GOOD)),
    size("LF ends an extension", HEX.encode() + b";a\n" + GOOD + b"\r\n"),
    size("CR in an extension", HEX.encode() + b";a\rb\r\n" + GOOD + b"\r\n"),
    size("NUL in an extension", HEX.encode() + b";a\0b\r\n" + GOOD + b"\r\n"),
    size("extensions without end", chunk(GOOD, extension=b";" + b"a" * 40000)),
    size("many extensions", *[chunk(b" ", extension=b";" + b"a" * 200)] * 200, chunk(GOOD)),
    size("LF ends the size", HEX.encode() + b"\n" + GOOD + b"\r\n"),
    size("CR ends the size", HEX.encode() + b"\r" + GOOD + b"\r\n"),
    size("LF ends the data", HEX.encode() + b"\r\n" + GOOD + b"\n"),
    size("nothing ends the data", HEX.encode() + b"\r\n" + GOOD),
    size("LF ends it all", chunk(GOOD), end=b"0\n\n"),
    size("data longer than its size", chunk(GOOD + b"xx", HEX)),
    size("data shorter than its size", chunk(GOOD, f"{LENGTH + 2:x}")),
    size("size without digits", b"\r\n" + GOOD + b"\r\n"),
    size("size of an extension alone", b";a=b\r\n" + GOOD + b"\r\n"),
    *[
        size(f"size written {value!r}", chunk(GOOD, value))
        for value in (
            f"0x{HEX}", f"+{HEX}", f"-{HEX}", f" {HEX}", f"\t{HEX}", "g", f"{HEX}h", f"{HEX}_0",
            f"{HEX},", f"{HEX}\x0b", f"{HEX} {HEX}", "f" * 17, f"1{'0' * 16}", f"1{'0' * 14}{HEX}",
            f"-1{'0' * 15}", "\xb2",
        )
    ],
    size("space after the size", chunk(GOOD, f"{HEX} "), allow=TAKEN | REFUSED),
    size("tab after the size", chunk(GOOD, f"{HEX}\t"), allow=TAKEN | REFUSED),
    size("larger than the limit", *[chunk(b" " * 16000)] * 5, allow={"413": [], "413 200": []}),
]  # fmt: skip


def trailer(name, *lines, allow=TAKEN):
    """Trailers may be dropped or refused, never merged: the upstream's head is checked after all."""
    end = b"0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    return case(f"trailer {name}", "RFC 9110 6.5.1", chunked(chunk(GOOD), end=end), allow)


TRAILERS = [
    trailer("plain", b"X-Any: 1"),
    trailer("Content-Length", b"Content-Length: 999", allow=TAKEN | REFUSED),
    trailer("Transfer-Encoding", b"Transfer-Encoding: chunked", allow=TAKEN | REFUSED),
    trailer("Host", b"Host: evil", allow=TAKEN | REFUSED),
    trailer("Content-Encoding", b"Content-Encoding: gzip", allow=TAKEN | REFUSED),
    trailer("Content-Type", b"Content-Type: text/plain", allow=TAKEN | REFUSED),
    trailer("X-Portcullis-Subject", b"X-Portcullis-Subject: root", allow=TAKEN | REFUSED),
    trailer("without a colon", b"none", allow=REFUSED),
    trailer("space before the colon", b"X-Any : 1", allow=REFUSED),
    trailer("folded", b"X-Any: 1", b" 2", allow=REFUSED),
    trailer("NUL", b"X-Any: \0", allow=REFUSED),
    trailer("bare CR", b"X-Any: 1\rX-Other: 2", allow=REFUSED),
    trailer("very long", b"X-Any: " + b"a" * 300_000, allow={"400": [], "431": []}),
    trailer("very many", *[b"X-Any: 1"] * 3000, allow={"400": [], "431": []}),
]

CASES = [*LENGTHS, *CODINGS, *BOTH, *CHUNKS, *TRAILERS]
