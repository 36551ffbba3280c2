"""Whole answers: every field that a client can show, and odd ways to deliver them."""

import gzip
import json
import zlib

from .answers import JSON, STREAM, USAGE, chat, chat_events, dump, message, message_events
from .case import GAP, REFUSE, SENTENCE, TAIL, Answer, Case
from .encodings import brotli, zstd
from .requests import ask

BROKEN = "an answer that cannot be read is not delivered"


def say(word):
    return f"Take {SENTENCE.format(word)} {TAIL}"


def said(**fields):
    """A message with these fields made from the text."""
    return lambda w: chat({"content": "Bread.", **{name: make(w) for name, make in fields.items()}})


def calls(make):
    return lambda w: chat(
        {
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}", **make(w)},
                }
            ]
        },
        "tool_calls",
    )


def tokens(make):
    return lambda w: chat({"content": "Bread."}, choice={"logprobs": make(w)})


def choice(**fields):
    return lambda w: chat(
        {"content": "Bread."}, choice={name: make(w) for name, make in fields.items()}
    )


def top(**fields):
    return lambda w: chat({"content": "Bread."}, **{name: make(w) for name, make in fields.items()})


def choices(*messages):
    """Several choices, each `(index, message)`."""
    return lambda w: chat({}, choices=[
        {"index": index, "message": {"role": "assistant", **make(w)}, "finish_reason": "stop"} for index, make in messages])  # fmt: skip


def plain(_):
    return {"content": "Bread."}


def secret(make, *secrets):
    """The answer with these pieces named as what must not be seen."""

    def build(word):
        answer = make(word)
        answer.secrets = [one(word) for one in secrets]
        return answer

    return build


def units(word):
    return "".join(f"\\u{ord(one):04x}" for one in word)


OPENAI = {
    "content parts": said(content=lambda w: [{"type": "text", "text": say(w)}]),
    "content, word over parts": said(content=lambda w: [{"type": "text", "text": f"Take a {w[:2]}"}, {"type": "text", "text": f"{w[2:]} {TAIL}"}]),
    "content part of unknown type": said(content=lambda w: [{"type": "zzz", "zzz": {"a": say(w)}}]),
    "content is an object": said(content=lambda w: {"text": say(w)}),
    "reasoning": said(reasoning=say),
    "reasoning_details": said(reasoning_details=lambda w: [{"type": "reasoning.text", "text": say(w)}]),
    "reasoning_details summary": said(reasoning_details=lambda w: [{"type": "reasoning.summary", "summary": say(w)}]),
    "reasoning_details, data in plain": said(reasoning_details=lambda w: [{"type": "reasoning.encrypted", "data": say(w)}]),
    "audio transcript": said(audio=lambda w: {"id": "a1", "data": "AAAA", "expires_at": 1, "transcript": say(w)}),
    "audio data in plain": said(audio=lambda w: {"id": "a1", "data": say(w), "expires_at": 1, "transcript": ""}),
    "annotation title": said(annotations=lambda w: [{"type": "url_citation", "url_citation": {"url": "https://x/", "title": say(w)}}]),
    "annotation address": said(annotations=lambda w: [{"type": "url_citation", "url_citation": {"url": f"https://x/{w}/{TAIL}", "title": "a"}}]),
    "annotation unknown": said(annotations=lambda w: [{"type": "zzz", "note": say(w)}]),
    "unknown field of a message": said(thoughts=say),
    "unknown field, key": said(extra=lambda w: {say(w): 1}),
    "images": said(images=lambda w: [{"type": "image_url", "image_url": {"url": f"https://x/{w}/{TAIL}"}}]),
    "tool name": calls(lambda w: {"name": f"make_{w}_{TAIL}"}),
    "tool arguments, escaped": secret(calls(lambda w: {"arguments": '{"a": "%s", "b": "%s"}' % (units(w), TAIL)}), units),
    "tool arguments, key": calls(lambda w: {"arguments": json.dumps({say(w): 1})}),
    "tool arguments, word over members": calls(lambda w: {"arguments": json.dumps({"a": w[:2], "b": f"{w[2:]} {TAIL}"})}),
    "tool arguments, object": calls(lambda w: {"arguments": {"a": say(w)}}),
    "custom tool input": lambda w: chat({"tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "f", "input": say(w)}}]}, "tool_calls"),
    "logprobs tokens": tokens(lambda w: {"content": [{"token": one, "logprob": -1.0, "bytes": None, "top_logprobs": []} for one in ("a ", w[:2], w[2:], TAIL)]}),
    "logprobs refusal tokens": tokens(lambda w: {"content": None, "refusal": [{"token": one, "logprob": -1.0} for one in (w[:2], w[2:], TAIL)]}),
    "logprobs bytes": secret(tokens(lambda w: {"content": [{"token": "x", "logprob": -1.0, "bytes": list(say(w).encode())}]}),
                             lambda w: ", ".join(str(byte) for byte in w.encode())),
    "logprobs alternatives": tokens(lambda w: {"content": [{"token": "x", "logprob": -1.0, "top_logprobs": [{"token": say(w), "logprob": -1.0}]}]}),
    "logprobs, text_offset shape": tokens(lambda w: {"tokens": ["a", w[:2], w[2:], TAIL], "token_logprobs": [-1.0], "top_logprobs": None}),
    "logprobs is a text": tokens(say),
    "finish_reason": choice(finish_reason=say),
    "stop_reason": choice(stop_reason=say),
    "unknown field of a choice": choice(note=lambda w: {"a": [say(w)]}),
    "text of a completion": choice(text=say),
    "delta in a whole answer": choice(delta=lambda w: {"content": say(w)}),
    "content_filter_results": choice(content_filter_results=lambda w: {"hate": {"note": say(w)}}),
    "usage note": top(usage=lambda w: {**USAGE, "note": say(w)}),
    "usage key": top(usage=lambda w: {**USAGE, say(w): 1}),
    "system_fingerprint": top(system_fingerprint=say),
    "id": top(id=say),
    "model": top(model=say),
    "error beside choices": top(error=lambda w: {"message": say(w)}),
    "warning beside choices": top(warning=say),
    "output_text beside choices": top(output_text=say),
    "second choice of two": choices((0, plain), (1, lambda w: {"content": say(w)})),
    "first choice of two": choices((0, lambda w: {"content": say(w)}), (1, plain)),
    "choice indexes alike": choices((0, plain), (0, lambda w: {"content": say(w)})),
    "choice index of 4,000": choices((4000, lambda w: {"content": say(w)})),
    "word over content and refusal": said(content=lambda w: f"Take a {w[:2]}", refusal=lambda w: f"{w[2:]} {TAIL}"),
    "role": said(role=say),
    "a megabyte before": said(content=lambda w: "Bread needs flour. " * 55_000 + say(w)),
    "at the very end": said(content=lambda w: f"Take a {w}"),
}  # fmt: skip


def block(kind, **fields):
    return lambda w: message(
        [
            {
                "type": kind,
                **{name: make(w) if callable(make) else make for name, make in fields.items()},
            }
        ]
    )


def beside(**fields):
    return lambda w: message(
        [{"type": "text", "text": "Bread."}], **{name: make(w) for name, make in fields.items()}
    )


def source(word):
    return {"type": "text", "media_type": "text/plain", "data": say(word)}


ANTHROPIC = {
    "text": block("text", text=say),
    "word over blocks": lambda w: message([{"type": "text", "text": f"Take a {w[:2]}"}, {"type": "text", "text": f"{w[2:]} {TAIL}"}]),
    "second block": lambda w: message([{"type": "text", "text": "Bread."}, {"type": "text", "text": say(w)}]),
    "thinking": block("thinking", thinking=say, signature="QUJD"),
    "thinking signature": block("thinking", thinking="a", signature=say),
    "redacted_thinking data": block("redacted_thinking", data=say),
    "tool_use input": block("tool_use", id="t1", name="f", input=lambda w: {"a": {"b": say(w)}}),
    "tool_use key": block("tool_use", id="t1", name="f", input=lambda w: {say(w): 1}),
    "tool_use name": block("tool_use", id="t1", name=lambda w: f"make_{w}_{TAIL}", input={}),
    "server_tool_use query": block("server_tool_use", id="t1", name="web_search", input=lambda w: {"query": say(w)}),
    "web_search_tool_result title": block("web_search_tool_result", tool_use_id="t1", content=lambda w: [
        {"type": "web_search_result", "title": say(w), "url": "https://x/", "encrypted_content": "QUJD"}]),
    "web_search_tool_result encrypted_content": block("web_search_tool_result", tool_use_id="t1", content=lambda w: [
        {"type": "web_search_result", "title": "a", "url": "https://x/", "encrypted_content": say(w)}]),
    "code_execution stdout": block("code_execution_tool_result", tool_use_id="t1", content=lambda w: {
        "type": "code_execution_result", "stdout": say(w), "stderr": "", "return_code": 0, "content": []}),
    "web_fetch document": block("web_fetch_tool_result", tool_use_id="t1", content=lambda w: {
        "type": "web_fetch_result", "url": "https://x/", "content": {"type": "document", "source": source(w)}}),
    "mcp_tool_result": block("mcp_tool_result", tool_use_id="t1", is_error=False, content=lambda w: [{"type": "text", "text": say(w)}]),
    "citation text": block("text", text="Bread.", citations=lambda w: [{"type": "char_location", "cited_text": say(w), "document_index": 0}]),
    "citation title": block("text", text="Bread.", citations=lambda w: [{"type": "page_location", "cited_text": "a", "document_title": say(w)}]),
    "citation address": block("text", text="Bread.", citations=lambda w: [
        {"type": "web_search_result_location", "cited_text": "a", "url": f"https://x/{w}/{TAIL}", "title": "a", "encrypted_index": "QUJD"}]),
    "unknown block": block("zzz", zzz=lambda w: [say(w)]),
    "unknown field of a block": block("text", text="Bread.", note=say),
    "block without a type": lambda w: message([{"text": say(w)}]),
    "content of strings": lambda w: message([say(w)]),
    "stop_sequence": beside(stop_sequence=say),
    "stop_reason": beside(stop_reason=say),
    "stop_details": beside(stop_details=lambda w: {"type": "refusal", "category": None, "explanation": say(w)}),
    "usage note": beside(usage=lambda w: {"input_tokens": 1, "output_tokens": 1, "note": say(w)}),
    "container": beside(container=lambda w: {"id": say(w), "expires_at": "a"}),
    "unknown field": beside(completion=say),
    "id": beside(id=say),
    "at the very end": block("text", text=lambda w: f"Take a {w}"),
}  # fmt: skip


def delivered(make, headers=JSON, pack=None, encoding=None, **options):
    """An answer's bytes in another wrapping."""

    def build(word):
        body = make(word)
        frames = [pack(body) if pack else body]
        named = [*headers, ("content-encoding", encoding)] if encoding else headers
        return Answer(frames, named, plain=body if pack else None, **options)

    return build


def body(word):
    return chat({"content": say(word)}).frames[0]


def escaped(word):
    text = "".join(f"\\u{ord(one):04x}" for one in say(word))
    return body(word).replace(dump(say(word)), b'"%s"' % text.encode())


def events(word):
    return b"".join(chat_events([{"content": say(word)}]))


def doubled(word):
    return body(word).replace(b'"content": ', b'"content": "Bread.", "content": ', 1)


DELIVERED = {
    "escapes": delivered(escaped),
    "gzip": delivered(body, pack=gzip.compress, encoding="gzip"),
    "deflate": delivered(body, pack=zlib.compress, encoding="deflate"),
    "br": delivered(body, pack=brotli, encoding="br"),
    "zstd": delivered(body, pack=zstd, encoding="zstd"),
    "closed at the end": delivered(body, framing="close"),
    "in chunks": delivered(body, framing="chunked"),
    "white space before": delivered(lambda w: b" \n" * 9000 + body(w)),
    "charset named": delivered(body, headers=[("content-type", "application/json; charset=utf-8")]),
}

UNREADABLE = {
    "content-type text/plain": delivered(body, headers=[("content-type", "text/plain")]),
    "content-type text/html": delivered(
        lambda w: f"<p>{say(w)}".encode(), headers=[("content-type", "text/html")]
    ),
    "content-type octet-stream": delivered(
        body, headers=[("content-type", "application/octet-stream")]
    ),
    "no content-type": delivered(body, headers=[]),
    "two content-types": delivered(body, headers=[*JSON, *STREAM]),
    "charset UTF-16": delivered(
        lambda w: body(w).decode().encode("utf-16"),
        headers=[("content-type", "application/json; charset=utf-16")],
    ),
    "UTF-16 unnamed": delivered(lambda w: body(w).decode().encode("utf-16")),
    "BOM": delivered(lambda w: b"\xef\xbb\xbf" + body(w)),
    "duplicate content": delivered(doubled),
    "trailing bytes": delivered(lambda w: body(w) + say(w).encode()),
    "unended": delivered(lambda w: body(w)[:-2]),
    "plain text": delivered(lambda w: say(w).encode()),
    "no choices": delivered(lambda w: dump({"text": say(w)})),
    "a list": delivered(lambda w: b"[" + body(w) + b"]"),
    "gzip twice": delivered(
        body, pack=lambda b: gzip.compress(gzip.compress(b)), encoding="gzip, gzip"
    ),
    "plain named gzip": delivered(body, encoding="gzip"),
    "gzip named br": delivered(body, pack=gzip.compress, encoding="br"),
    "unknown encoding": delivered(body, encoding="zzz"),
    "gzip unnamed": delivered(body, pack=gzip.compress),
    "a stream called JSON": delivered(events),
    "invalid UTF-8": delivered(lambda w: body(w).replace(b"Take", b"Take\xff")),
    "lone surrogate": delivered(lambda w: body(w).replace(b"Take", b"\\ud800")),
}

#: What passes, and why.
GAPS = {
}


def every():
    def case(name, dialect, make, reason=""):
        gap = {"expect": GAP, "reason": GAPS[name]} if name in GAPS else {}
        kind = {"expect": REFUSE, "reason": reason} if reason else gap
        return Case(name, dialect, lambda _: ask(dialect), make, **kind)

    for name, make in OPENAI.items():
        yield case(f"openai out: {name}", "openai", make)
    for name, make in ANTHROPIC.items():
        yield case(f"anthropic out: {name}", "anthropic", make)
    for name, make in DELIVERED.items():
        yield case(f"delivery: {name}", "openai", make)
    for name, make in UNREADABLE.items():
        yield case(f"delivery: {name}", "openai", make, BROKEN)
    yield Case(
        "delivery: JSON answer to a stream request",
        "openai",
        lambda _: ask("openai", stream=True),
        lambda w: chat({"content": say(w)}),
    )
    yield Case("delivery: stream answer to a plain request", "openai", lambda _: ask("openai"),
               lambda w: Answer([events(w)], STREAM))  # fmt: skip
    yield Case("delivery: Anthropic stream answer to a plain request", "anthropic", lambda _: ask("anthropic"),
               lambda w: Answer([b"".join(message_events([(say(w),)]))], STREAM))  # fmt: skip
    yield Case("delivery: error status with an answer", "openai", lambda _: ask("openai"),
               lambda w: Answer(chat({"content": say(w)}).frames, JSON, status=400), expect=GAP,
               reason="an error of the upstream is passed on as it came; no model wrote it")  # fmt: skip
