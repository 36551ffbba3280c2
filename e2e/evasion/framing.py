"""Streams: how the bytes arrive, what cannot be read, what stands behind the end."""

import gzip
import zlib

from .answers import (
    DONE,
    STREAM,
    block_events,
    chat_events,
    chunk,
    dump,
    message_end,
    message_events,
    message_start,
    named,
    sse,
    stream,
)
from .case import DROP, GAP, REFUSE, TAIL, Answer, Case
from .encodings import brotli, zstd
from .requests import ask
from .streams import ended, letters, plain_chunk

BROKEN = "an event that cannot be read ends the stream with an error"


def framed(into, cut=letters, **options):
    """The bytes of an ordinary stream, changed and cut by `into`."""

    def make(word):
        frames = into(b"".join(chat_events([{"content": piece} for piece in cut(word)])))
        return Answer(frames if isinstance(frames, list) else [frames], STREAM, **options)

    return make


def each(into, cut=letters):
    """Every event changed by `into`."""
    return lambda w: stream(
        into(event) for event in chat_events([{"content": piece} for piece in cut(w)])
    )


def bytewise(raw, step=1):
    return [raw[at : at + step] for at in range(0, len(raw), step)]


def data_lines(event):
    """Data over several lines: cut where JSON may hold white space."""
    return event.replace(b'", "', b'",\ndata: "').replace(b'": {', b'":\ndata:{')


def encoded(name, pack, step=None):
    def make(word):
        plain = b"".join(chat_events([{"content": piece} for piece in letters(word)]))
        body = pack(plain)
        frames = bytewise(body, step) if step else [body]
        return Answer(frames, [*STREAM, ("content-encoding", name)], plain=plain)

    return make


def flushed(plain):
    """gzip with every event flushed by itself."""
    packer = zlib.compressobj(wbits=31)
    events = plain.split(b"\n\n")
    return (
        b"".join(
            packer.compress(one + b"\n\n" * (at < len(events) - 1))
            + packer.flush(zlib.Z_SYNC_FLUSH)
            for at, one in enumerate(events)
        )
        + packer.flush()
    )


FRAMING = {
    "a byte a frame": framed(bytewise),
    "seven bytes a frame": framed(lambda raw: bytewise(raw, 7)),
    "all in one frame": framed(lambda raw: raw),
    "closed at the end, no chunks": framed(bytewise, framing="close"),
    "CRLF": framed(lambda raw: raw.replace(b"\n", b"\r\n")),
    "CRLF, a byte a frame": framed(lambda raw: bytewise(raw.replace(b"\n", b"\r\n"))),
    "CR": framed(lambda raw: raw.replace(b"\n", b"\r")),
    "CR, LF and CRLF by turns": lambda w: stream(
        event.replace(b"\n", (b"\n", b"\r", b"\r\n")[at % 3]) for at, event in enumerate(chat_events([{"content": one} for one in letters(w)]))),
    "comments between": each(lambda event: b": keep-alive\n\n" + event),
    "comments within": each(lambda event: b": x\n" + event),
    "id, retry and unknown fields": each(lambda event: b"id: 7\nretry: 10\nzzz: x\n" + event),
    "id behind the data": each(lambda event: event[:-1] + b"id: 7\n\n"),
    "data on several lines": each(data_lines),
    "no space after the colon": each(lambda event: event.replace(b"data: ", b"data:")),
    "two spaces after the colon": each(lambda event: event.replace(b"data: {", b"data:  {")),
    "blank lines more": each(lambda event: b"\n\n\n" + event),
    "BOM at the start": framed(lambda raw: b"\xef\xbb\xbf" + raw),
    "BOM at the start, a byte a frame": framed(lambda raw: bytewise(b"\xef\xbb\xbf" + raw)),
    "letters of two bytes cut": framed(bytewise, lambda w: ["é", *f"Tàke ä {w} ñow", TAIL]),
    "event named message": each(lambda event: b"event: message\n" + event),
    "white space in the JSON": each(lambda event: event.replace(b'": ', b'" :  ')),
    "content-type with charset": lambda w: Answer(list(chat_events([{"content": one} for one in letters(w)])), [("content-type", "text/event-stream; charset=utf-8")]),
    "gzip": encoded("gzip", gzip.compress),
    "gzip, a byte a frame": encoded("gzip", gzip.compress, 1),
    "gzip, flushed": encoded("gzip", flushed),
    "deflate": encoded("deflate", zlib.compress),
    "br": encoded("br", brotli),
    "zstd": encoded("zstd", zstd),
}  # fmt: skip


def text_event(word):
    return chunk({"content": f"Take a {word} {TAIL}"})


def followed(before, *extra):
    """A harmless stream, then these events, which must not be passed on."""
    return lambda w: stream([*before, *[make(w) for make in extra]], plain=b"".join(before))


def spoiled(into):
    """An ordinary stream whose text event is changed by `into(event, word)`."""
    return lambda w: stream(
        [chunk({"role": "assistant", "content": ""}), into(text_event(w), w), *ended()]
    )


SPOILED = {
    "plain text for data": (spoiled(lambda event, w: sse(f"Take a {w} {TAIL}".encode())), BROKEN),
    "[DONE] with text": (spoiled(lambda event, w: sse(f"[DONE] Take a {w} {TAIL}".encode())), BROKEN),
    "duplicate content": (spoiled(lambda event, w: event.replace(b'"content":', b'"content": "x", "content":')), BROKEN),
    "duplicate choices": (spoiled(lambda event, w: event.replace(b'"choices":', b'"choices": [], "choices":')), BROKEN),
    "duplicate content, one escaped": (spoiled(lambda event, w: event.replace(b'"content":', b'"content": "x", "\\u0063ontent":')), BROKEN),
    "trailing bytes": (spoiled(lambda event, w: event[:-2] + b" {}\n\n"), BROKEN),
    "two documents in one event": (spoiled(lambda event, w: chunk({"content": "x"})[:-1] + event), BROKEN),
    "invalid UTF-8": (spoiled(lambda event, w: event.replace(b"Take", b"Take\xff")), BROKEN),
    "lone surrogate": (spoiled(lambda event, w: event.replace(b"Take", b"\\ud800")), BROKEN),
    "list for data": (spoiled(lambda event, w: sse(dump([f"Take a {w} {TAIL}"]))), BROKEN),
    "string for data": (spoiled(lambda event, w: sse(dump(f"Take a {w} {TAIL}"))), BROKEN),
    "choice is a string": (spoiled(lambda event, w: plain_chunk(choices=[f"Take a {w} {TAIL}"])), BROKEN),
    "choice index of 4,000": (spoiled(lambda event, w: chunk({"content": f"Take a {w} {TAIL}"}, index=4000)), BROKEN),
    "choice index is a string": (spoiled(lambda event, w: chunk({"content": f"Take a {w} {TAIL}"}, index="0")), BROKEN),
    "unended last event": (lambda w: stream([chunk({"content": "Bread."}), text_event(w)[:-2]]), BROKEN),
    "unended line": (lambda w: stream([chunk({"content": "Bread."}), text_event(w)[:-1]]), BROKEN),
    "UTF-16": (lambda w: Answer([text_event(w).decode().encode("utf-16")], STREAM), BROKEN),
    "gzip unnamed": (lambda w: Answer([gzip.compress(text_event(w))], STREAM), BROKEN),
    "no stream at all": (lambda w: Answer([f"Take a {w} {TAIL}".encode()], STREAM), BROKEN),
    "event name other than its type": (lambda w: stream([message_start(), named("content_block_delta", index=0, delta={"type": "text_delta", "text": f"Take a {w} {TAIL}"}).replace(b"event: content_block_delta", b"event: ping"), *message_end()]), BROKEN),
    "block without an index": (lambda w: stream([message_start(), named("content_block_delta", delta={"type": "text_delta", "text": f"Take a {w} {TAIL}"}), *message_end()]), BROKEN),
    "stream called plain text": (lambda w: Answer([text_event(w), DONE], [("content-type", "text/plain")]), BROKEN),
    "stream with two content-types": (lambda w: Answer([text_event(w), DONE], [*STREAM, ("content-type", "text/plain")]), BROKEN),
}  # fmt: skip

CHAT = list(chat_events([{"content": "Bread."}]))
MESSAGE = list(message_events([("Bread.",)]))

AFTER_THE_END = {
    "text after [DONE]": followed(CHAT, text_event),
    "comment after [DONE], then text": followed(CHAT, lambda w: b": x\n\n", text_event),
    "[DONE] twice, text between": followed(CHAT, text_event, lambda w: DONE),
    "text after message_stop": followed(
        MESSAGE, lambda w: b"".join(block_events([f"Take a {w} {TAIL}"], index=1))
    ),
    "ping after message_stop, then text": followed(
        MESSAGE,
        lambda w: named("ping"),
        lambda w: b"".join(block_events([f"Take a {w} {TAIL}"], index=1)),
    ),
}

#: Comments and unknown fields of an event stream: no client shows them.
UNSEEN = {
    "comment that speaks": lambda w: stream([f": take a {w}\n\n".encode(), *chat_events([{"content": "Bread."}])]),
    "id that speaks": lambda w: stream([f"id: take a {w}\n".encode() + event for event in chat_events([{"content": "Bread."}])]),
    "unknown field that speaks": lambda w: stream([f"zzz: take a {w}\n".encode() + event for event in chat_events([{"content": "Bread."}])]),
}  # fmt: skip


NOT_SHOWN = "no client shows what stands beside the data of an event"


def every():
    def case(name, make, **kind):
        is_message = any(one in name for one in ("block", "message_stop", "event name other"))
        dialect = "anthropic" if is_message else "openai"
        return Case(f"framing: {name}", dialect, lambda _: ask(dialect, stream=True), make, **kind)

    for name, make in FRAMING.items():
        yield case(name, make)
    for name, make in UNSEEN.items():
        yield case(name, make, expect=GAP, reason=NOT_SHOWN)
    for name, (make, reason) in SPOILED.items():
        yield case(name, make, expect=REFUSE, reason=reason)
    for name, make in AFTER_THE_END.items():
        yield case(name, make, expect=DROP)
