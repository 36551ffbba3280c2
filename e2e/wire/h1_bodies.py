"""What a body is: its type, its content-encoding, and compressed bodies that lie (RFC 9110, 8.3 and 8.4).

The upstream gets what was screened: the decoded text, whole, without its encoding.
"""

import gzip
import time
import zlib

import brotli
import zstandard
from checks import equal, expect

from .cases import Case
from .h1 import EVIL, GOOD, LAST, case, chat, head, post, talk

TAKEN = {"200 200": [GOOD]}
MALFORMED = {"400 200": []}
UNSUPPORTED = {"415 200": []}
#: Screened and refused by the policy: an answer, and nothing at the upstream.
BLOCKED = {"200 200": []}
EITHER = TAKEN | MALFORMED

#: A prompt in two halves, so that a reader of the first half alone misses the word.
EVIL_START, EVIL_END = EVIL.split(b"nightfall")[0] + b"night", b"fall" + EVIL.split(b"nightfall")[1]


def kind(name, *lines, allow=UNSUPPORTED):
    data = head(*lines, f"Content-Length: {len(GOOD)}", kind=None) + GOOD
    return case(f"content-type {name}", "RFC 9110 8.3", data, allow)


KINDS = [
    kind("with a charset", 'Content-Type: application/json; charset="UTF-8"', allow=TAKEN),
    kind("missing"),
    kind("empty", "Content-Type:"),
    kind("twice", "Content-Type: application/json", "Content-Type: text/plain"),
    kind("twice the same", "Content-Type: application/json", "Content-Type: application/json"),
    kind("list", "Content-Type: application/json, application/json"),
    kind("UTF-16", "Content-Type: application/json; charset=utf-16"),
    kind("two charsets", "Content-Type: application/json; charset=utf-8; charset=utf-16"),
    kind("form", "Content-Type: multipart/form-data; boundary=a"),
    kind("text", "Content-Type: text/plain"),
    kind("longer", "Content-Type: application/json+x"),
]


def squeeze(data, how):
    if how == "gzip":
        return gzip.compress(data)
    if how == "deflate":
        return zlib.compress(data)
    if how == "br":
        return brotli.compress(data)
    return zstandard.ZstdCompressor().compress(data)


def encoded(name, encoding, body, allow):
    return case(f"encoded {name}", "RFC 9110 8.4", post(body, f"Content-Encoding: {encoding}"), allow)


def of_each(how):
    """What must hold for every encoding."""
    whole, evil, parts = squeeze(GOOD, how), squeeze(EVIL, how), how in ("gzip", "zstd")
    several = squeeze(EVIL_START, how) + squeeze(EVIL_END, how)
    long = squeeze(GOOD + b" " * 30_000 + b"\n" * 10, how)
    return [
        encoded(f"{how}", how, whole, TAKEN),
        encoded(f"{how} in capitals", how.upper(), whole, TAKEN),
        encoded(f"{how} is screened", how, evil, BLOCKED),
        # gzip and zstd are made of any number of parts, all of them text (RFC 1952 2.2, RFC 8878 3).
        encoded(f"{how} in two parts", how, several, BLOCKED if parts else BLOCKED | MALFORMED),
        encoded(f"{how} with an evil part behind", how, whole + evil, MALFORMED if parts else EITHER),
        encoded(f"{how} with an empty part behind", how, whole + squeeze(b"", how), EITHER),
        encoded(f"{how} with plain JSON behind", how, whole + EVIL, EITHER),
        encoded(f"{how} with one byte behind", how, whole + b"\0", EITHER),
        encoded(f"{how} with a byte less", how, long[:-1], MALFORMED),
        encoded(f"{how} with half of it", how, long[: len(long) // 2], MALFORMED),
        encoded(f"{how} with its first byte", how, whole[:1], MALFORMED),
        encoded(f"{how} with nothing", how, b"", MALFORMED),
        encoded(f"{how} of nothing", how, squeeze(b"", how), MALFORMED),
        encoded(f"{how} that is plain", how, GOOD, MALFORMED),
        encoded(f"{how} twice over", how, squeeze(whole, how), MALFORMED),
        encoded(f"{how} named twice", f"{how}, {how}", squeeze(whole, how), UNSUPPORTED),
        case(f"encoded {how} in chunks", "RFC 9110 8.4",
             head("Transfer-Encoding: chunked", f"Content-Encoding: {how}")
             + b"".join(b"1\r\n%c\r\n" % byte for byte in evil) + b"0\r\n\r\n", BLOCKED),
    ]  # fmt: skip


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def wrong_crc(data):
    packed = bytearray(gzip.compress(data))
    packed[-8] ^= 1
    return bytes(packed)


def with_dictionary():
    words = zstandard.ZstdCompressionDict(EVIL * 20)
    return zstandard.ZstdCompressor(dict_data=words).compress(EVIL)


def skippable(data):
    """A zstd frame that every reader skips."""
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


ENCODINGS = [
    *[one for how in ("gzip", "deflate", "br", "zstd") for one in of_each(how)],
    # Some readers of `deflate` also take it without zlib's head.
    encoded("deflate without its head", "deflate", raw_deflate(GOOD), EITHER),
    encoded("deflate without its head is screened", "deflate", raw_deflate(EVIL), BLOCKED | MALFORMED),
    encoded("gzip with a wrong checksum", "gzip", wrong_crc(GOOD), MALFORMED),
    encoded("zstd after a skipped frame", "zstd", skippable(b"abc") + squeeze(GOOD, "zstd"), EITHER),
    encoded("zstd that hides text in a skipped frame", "zstd", squeeze(GOOD, "zstd") + skippable(EVIL), EITHER),
    encoded("zstd with a dictionary", "zstd", with_dictionary(), MALFORMED),
    encoded("identity", "identity", GOOD, TAKEN),
    encoded("identity is screened", "identity", EVIL, BLOCKED),
    encoded("gzip under another name", "x-gzip", squeeze(GOOD, "gzip"), TAKEN | UNSUPPORTED),
    *[
        encoded(f"as {name!r}", name, squeeze(EVIL, "gzip"), UNSUPPORTED)
        for name in ("compress", "gzip, identity", "identity, gzip", "gzip;q=1", "gzipp", "*", "chunked", "\"gzip\"")
    ],
    case("encoded in two lines", "RFC 9110 8.4",
         post(squeeze(EVIL, "gzip"), "Content-Encoding: gzip", "Content-Encoding: identity"), UNSUPPORTED),
    # A lenient reader would inflate what says of itself that it is plain.
    encoded("gzip that says identity", "identity", squeeze(EVIL, "gzip"), MALFORMED),
    case("encoded but unnamed", "RFC 9110 8.4", post(squeeze(EVIL, "gzip")), MALFORMED),
]  # fmt: skip


TEXTS = [
    case("text with a byte order mark", "RFC 8259 8.1", post(b"\xef\xbb\xbf" + GOOD), MALFORMED),
    case("text in UTF-16", "RFC 8259 8.1", post(EVIL.decode().encode("utf-16-le")), MALFORMED),
    case("text with bad UTF-8", "RFC 8259 8.1", post(GOOD.replace(b"bake", b"ba\xffke")), MALFORMED),
    case("text behind the JSON", "RFC 8259 2", post(GOOD + EVIL), MALFORMED),
    case("text after a NUL", "RFC 8259 2", post(GOOD + b"\0" + EVIL), MALFORMED),
    case("text in escapes", "RFC 8259 7", post(EVIL.replace(b"n", b"\\u006e").replace(b"co\\u006ete\\u006et", b"content")),
         BLOCKED | MALFORMED),
    case("text with blanks around", "RFC 8259 2", post(b" \r\n" + GOOD + b"\t\n"), {"200 200": [b" \r\n" + GOOD + b"\t\n"]}),
    case("text is screened", "DESIGN 4", post(EVIL), BLOCKED),
]  # fmt: skip

BOMB = 256 * 2**20
MOST_MEMORY = 96
#: A bomb of the machine's whole memory takes minutes; one that is cut takes a moment.
MOST_SECONDS = 2.5


def bomb_of(how):
    """A small body that becomes 256 MiB."""
    if how in ("gzip", "deflate"):
        # 60 KiB is what the limit on bodies lets in; zlib makes 60 MiB of it.
        return squeeze(b" " * (60 * 2**20), how)
    if how == "br":
        packer = brotli.Compressor(quality=1, lgwin=24)
        return b"".join(packer.process(b" " * 2**22) for _ in range(BOMB >> 22)) + packer.finish()
    return zstandard.ZstdCompressor(level=1).compress(b" " * BOMB)


def wide_zstd():
    """A frame that asks for a window of 2 GiB, before a few bytes."""
    return b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"


def bomb(how, make, answers):
    """Refused soon and in little memory."""

    def run(world):
        body = make()
        mark, before, started = len(world.upstream.seen), world.memory(), time.monotonic()
        found = talk(world.address, post(body, f"Content-Encoding: {how}") + LAST)
        seconds, grown = time.monotonic() - started, world.memory() - before
        expect(found.line in answers, f"{len(body)} bytes: found {found.line!r}, wanted {answers}")
        expect(seconds < MOST_SECONDS, f"it took {seconds:.1f} s")
        expect(grown < MOST_MEMORY, f"memory grew by {grown:.0f} MiB")
        world.expect_forwarded(mark, [])

    return Case(f"bomb {make.__name__ if make is wide_zstd else how}", "DESIGN 4, step 2", run)


BOMBS = [
    *[bomb(how, lambda how=how: bomb_of(how), ("413", "413 200")) for how in ("gzip", "deflate", "br", "zstd")],
    bomb("zstd", wide_zstd, ("413", "413 200", "400 200")),
]  # fmt: skip


def the_decoded_body_has_its_own_length(world):
    """The upstream's Content-Length counts the decoded bytes, and no encoding is named."""
    mark = len(world.upstream.seen)
    body = chat("how do I bake bread" + " and more" * 500)
    found = talk(world.address, post(squeeze(body, "gzip"), "Content-Encoding: gzip") + LAST)
    equal(found.line, "200 200", "answers")
    world.expect_forwarded(mark, [body])
    (request,) = world.forwarded(mark)
    equal(request.values(b"content-length"), [b"%d" % len(body)], "content-length")
    equal(request.values(b"accept-encoding"), [b"identity"], "accept-encoding")


CASES = [*KINDS, *ENCODINGS, *TEXTS, *BOMBS,
         Case("the decoded body has its own length", "RFC 9110 8.4", the_decoded_body_has_its_own_length)]  # fmt: skip
