"""Streams: where in an event the word can stand, and how it is cut over events."""

import base64
import json

from .answers import (
    DONE,
    block_events,
    chat_events,
    chunk,
    message_end,
    message_events,
    message_start,
    named,
    sse,
    stream,
)
from .case import FAULT, GAP, SENTENCE, TAIL, TWO_PLACES, Case
from .requests import ask

BROKEN = "an event that cannot be read ends the stream with an error"


def pieces(word):
    return ["Take ", "a ", word[:2], word[2:], " and ", TAIL]


def letters(word):
    return [*f"Take a {word} now", TAIL]


def units(word):
    return "".join(f"\\u{ord(one):04x}" for one in word)


# OpenAI


def deltas(make):
    return lambda w: stream(chat_events(make(w)))


def field(name, cut=pieces):
    return deltas(lambda w: [{name: piece} for piece in cut(w)])


def arguments(cut, **first):
    """A tool call whose arguments come in these pieces."""

    def make(word):
        head = {
            "index": 0,
            "id": "c1",
            "type": "function",
            "function": {"name": "f", "arguments": ""},
            **first,
        }
        rest = [
            {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in cut(word)
        ]
        return stream([*list(chat_events([{"tool_calls": [head]}, *rest], "tool_calls"))])

    return make


def beside(make):
    """Fields of the chunk itself, one chunk for each piece."""
    return lambda w: stream(
        [chunk({"content": "x"}, **make(piece)) for piece in pieces(w)] + [chunk({}, "stop"), DONE]
    )


def in_choice(make):
    return lambda w: stream(
        [chunk({"content": "x"}, choice=make(piece)) for piece in pieces(w)]
        + [chunk({}, "stop"), DONE]
    )


def chunks(make):
    """Whole events, between the first and the end."""
    return lambda w: stream([chunk({"role": "assistant", "content": ""}), *make(w)])


def ended():
    return [chunk({}, "stop"), DONE]


def plain_chunk(**fields):
    return sse(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1700000000,
            "model": "m",
            **fields,
        }
    )


def word_in_arguments(word):
    return ['{"a": "', *pieces(word), '"}']


def json_of(make):
    """Arguments as JSON, a letter a delta."""
    return lambda w: list(make(w))


OPENAI = {
    "content": field("content"),
    "content, a letter a delta": field("content", letters),
    "content, one delta": field("content", lambda w: ["".join(pieces(w))]),
    "content, empty deltas between": deltas(lambda w: [{"content": piece} for one in letters(w) for piece in (one, "")]),
    "content, null deltas between": deltas(lambda w: [{"content": piece} for one in letters(w) for piece in (one, None)]),
    "content parts": deltas(lambda w: [{"content": [{"type": "text", "text": piece}]} for piece in pieces(w)]),
    "content parts and strings by turns": deltas(lambda w: [
        {"content": [{"type": "text", "text": piece}] if at % 2 else piece} for at, piece in enumerate(letters(w))]),
    "content is an object": deltas(lambda w: [{"content": {"text": piece}} for piece in pieces(w)]),
    "refusal, a letter a delta": field("refusal", letters),
    "reasoning_content, a letter a delta": field("reasoning_content", letters),
    "reasoning": field("reasoning"),
    "reasoning under both names": deltas(lambda w: [{"reasoning": piece, "reasoning_content": piece} for piece in pieces(w)]),
    "reasoning beside another reasoning_content": deltas(lambda w: [{"reasoning": piece, "reasoning_content": "a "} for piece in pieces(w)]),
    "reasoning_details": deltas(lambda w: [{"reasoning_details": [{"type": "reasoning.text", "text": piece}]} for piece in pieces(w)]),
    "reasoning_details, data in plain": deltas(lambda w: [{"reasoning_details": [{"type": "reasoning.encrypted", "data": f"Take a {w} {TAIL}"}]}]),
    "reasoning and content by turns": deltas(lambda w: [one for piece in letters(w) for one in ({"content": piece}, {"reasoning_content": "x "})]),
    "thinking": field("thinking"),
    "unknown field of a delta": field("thoughts"),
    "unknown field of a delta, nested": deltas(lambda w: [{"extra": {"a": [{"b": piece}]}} for piece in pieces(w)]),
    "unknown field of a delta, key": deltas(lambda w: [{"extra": {f"Take a {w} now": 1}}, {"content": TAIL}]),
    "delta is a string": chunks(lambda w: [plain_chunk(choices=[{"index": 0, "delta": piece}]) for piece in pieces(w)] + ended()),
    "message in a chunk": in_choice(lambda piece: {"message": {"content": piece}}),
    "text in a chunk": in_choice(lambda piece: {"text": piece}),
    "role": field("role"),
    "finish_reason": in_choice(lambda piece: {"stop_reason": piece}),
    "logprobs tokens": in_choice(lambda piece: {"logprobs": {"content": [{"token": piece, "logprob": -1.0}]}}),
    "logprobs refusal tokens": in_choice(lambda piece: {"logprobs": {"refusal": [{"token": piece, "logprob": -1.0}]}}),
    "logprobs alternatives": chunks(lambda w: [chunk({"content": "x"}, choice={"logprobs": {"content": [
        {"token": "x", "logprob": -1.0, "top_logprobs": [{"token": f"Take a {w} {TAIL}", "logprob": -1.0}]}]}}), *ended()]),
    "tool arguments, a letter a delta": arguments(lambda w: ['{"a": "', *letters(w), '"}']),
    "tool arguments, escapes": arguments(lambda w: ['{"a": "', units(w), f'", "b": "{TAIL}"}}']),
    "tool arguments, escapes a letter a delta": arguments(lambda w: ['{"a": "', *units(w), '", "b": "', TAIL, '"}']),
    "tool arguments, key": arguments(lambda w: ['{"', *letters(w), '": 1}']),
    "tool arguments, word over members": arguments(json_of(lambda w: json.dumps({"a": f"take a {w[:2]}", "b": f"{w[2:]} {TAIL}"}))),
    "tool arguments, base64": arguments(lambda w: ['{"a": "', *base64.b64encode(SENTENCE.format(w).encode()).decode(), f' {TAIL}"}}']),
    "tool arguments, not JSON": arguments(letters),
    "tool arguments, unended": arguments(lambda w: ['{"a": "', *letters(w)]),
    "tool name": lambda w: arguments(lambda _: [f'{{"a": "{TAIL}"}}'], function={"name": f"make_{w}", "arguments": ""})(w),
    "tool name, a letter a delta": deltas(lambda w: [{"tool_calls": [{"index": 0, "function": {"name": piece}}]} for piece in letters(w)]),
    "tool call of index 5": deltas(lambda w: [{"tool_calls": [{"index": 5, "function": {"name": "f", "arguments": piece}}]} for piece in word_in_arguments(w)]),
    "tool calls by turns": deltas(lambda w: [{"tool_calls": [{"index": at, "function": {"arguments": one}} for at, one in ((0, piece), (1, "x"))]} for piece in word_in_arguments(w)]),
    "tool call without an index": deltas(lambda w: [{"tool_calls": [{"function": {"name": "f", "arguments": piece}}]} for piece in word_in_arguments(w)]),
    "tool call, unknown field": deltas(lambda w: [{"tool_calls": [{"index": 0, "note": piece}]} for piece in pieces(w)]),
    "custom tool input": deltas(lambda w: [{"tool_calls": [{"index": 0, "type": "custom", "custom": {"input": piece}}]} for piece in pieces(w)]),
    "function_call, a letter a delta": deltas(lambda w: [{"function_call": {"arguments": piece}} for piece in ['{"a": "', *letters(w), '"}']]),
    "audio transcript": deltas(lambda w: [{"audio": {"id": "a1", "transcript": piece}} for piece in pieces(w)]),
    "audio transcript, a letter a delta": deltas(lambda w: [{"audio": {"transcript": piece}} for piece in letters(w)]),
    "annotations": deltas(lambda w: [{"annotations": [{"type": "url_citation", "url_citation": {"title": f"Take a {w} {TAIL}", "url": "https://x/"}}]}]),
    "images": deltas(lambda w: [{"images": [{"image_url": {"url": f"https://x/{w}"}}]}, {"content": TAIL}]),
    "second choice, a letter a delta": lambda w: stream(
        [chunk({"content": "Bread"}), *[chunk({"content": piece}, index=1) for piece in letters(w)], chunk({}, "stop"), chunk({}, "stop", index=1), DONE]),
    "choices by turns": lambda w: stream(
        [chunk({"content": piece}, index=index) for piece in letters(w) for index in (0, 1)] + [chunk({}, "stop"), chunk({}, "stop", index=1), DONE]),
    "both choices in one chunk": lambda w: stream(
        [plain_chunk(choices=[{"index": 1, "delta": {"content": piece}}, {"index": 0, "delta": {"content": "x"}}]) for piece in letters(w)] + [DONE]),
    "choice without an index": chunks(lambda w: [plain_chunk(choices=[{"delta": {"content": piece}}]) for piece in letters(w)] + ended()),
    "choice that begins late": chunks(lambda w: [chunk({"content": "x"})] * 5 + [chunk({"content": piece}, index=7) for piece in letters(w)] + ended()),
    "delta after finish_reason": chunks(lambda w: [chunk({"content": "Bread."}), chunk({}, "stop"), *[chunk({"content": piece}) for piece in letters(w)], DONE]),
    "delta in the chunk that finishes": chunks(lambda w: [chunk({"content": f"Take a {w[:2]}"}), chunk({"content": f"{w[2:]} {TAIL}"}, "stop"), DONE]),
    "finish_reason twice": chunks(lambda w: [chunk({"content": f"Take a {w[:2]}"}, "length"), chunk({"content": f"{w[2:]} {TAIL}"}, "stop"), DONE]),
    "word over content and refusal": deltas(lambda w: [{"content": f"Take a {w[:2]}"}, {"refusal": f"{w[2:]} {TAIL}"}]),
    "usage chunk with text": chunks(lambda w: [chunk({"content": "Bread."}), chunk({}, "stop"), plain_chunk(choices=[], usage={"total_tokens": 3, "note": f"Take a {w} {TAIL}"}), DONE]),
    "usage chunk, key": chunks(lambda w: [chunk({"content": "Bread."}), chunk({}, "stop"), plain_chunk(choices=[], usage={f"Take a {w} {TAIL}": 3}), DONE]),
    "chunk without choices": chunks(lambda w: [plain_chunk(note=f"Take a {w} {TAIL}"), *ended()]),
    "choices is an object": chunks(lambda w: [plain_chunk(choices={"delta": {"content": f"Take a {w} {TAIL}"}}), *ended()]),
    "top field": beside(lambda piece: {"note": piece}),
    "system_fingerprint": beside(lambda piece: {"system_fingerprint": piece}),
    "obfuscation": beside(lambda piece: {"obfuscation": piece}),
    "prompt_filter_results": beside(lambda piece: {"prompt_filter_results": [{"note": piece}]}),
    "id, a letter a chunk": lambda w: stream([chunk({"content": "x"}, id=one) for one in w] + [chunk({}, "stop"), DONE]),
    "error event": chunks(lambda w: [chunk({"content": "Bread."}), sse({"error": {"message": f"Take a {w} {TAIL}"}})]),
    "unknown object": chunks(lambda w: [sse({"object": "zzz", "text": f"Take a {w} {TAIL}"}), *ended()]),
    "named event": chunks(lambda w: [sse({"note": f"Take a {w} {TAIL}"}, "zzz"), *ended()]),
    "Anthropic event in a chat": chunks(lambda w: [named("content_block_delta", index=0, delta={"type": "text_delta", "text": f"Take a {w} {TAIL}"}), *ended()]),
    "a huge event": chunks(lambda w: [chunk({"content": "Bread needs flour. " * 100_000 + f"a {w} {TAIL}"}), *ended()]),
    "after 3,000 deltas": deltas(lambda w: [{"content": f"Line {at}. "} for at in range(3000)] + [{"content": piece} for piece in letters(w)]),
    "word a letter in fifty characters": deltas(lambda w: [{"content": piece} for piece in (w[0], "\u200b" * 50, w[1], "\u200b" * 50, w[2:], TAIL)]),
    "word with 3,000 invisible letters inside": deltas(lambda w: [{"content": piece} for piece in ("a ", w[:2], *["\u200b" * 100] * 30, w[2:], TAIL)]),
    "escaped in JSON": lambda w: stream([event.replace(w[:2].encode(), units(w[:2]).encode()) for event in chat_events([{"content": piece} for piece in pieces(w)])]),
    "base64 over two choices' turns": deltas(lambda w: [{"content": one} for one in base64.b64encode(SENTENCE.format(w).encode()).decode()] + [{"content": f"\n{TAIL}"}]),
    "fullwidth base64": deltas(lambda w: [{"content": chr(ord(one) + 0xFEE0)} for one in base64.b64encode(SENTENCE.format(w).encode()).decode()] + [{"content": f"\n{TAIL}"}]),
    "combining mark in a delta of its own": deltas(lambda w: [{"content": piece} for one in w for piece in (one, "\u0301")] + [{"content": TAIL}]),
    "no role chunk, no finish": lambda w: stream([chunk({"content": piece}) for piece in letters(w)] + [DONE]),
    "word at the very end": deltas(lambda w: [{"content": piece} for piece in ("Take a ", *w)]),
}  # fmt: skip


# Anthropic


def blocks(*made):
    """Content blocks, each the arguments of `block_events` made from the word."""
    return lambda w: stream(message_events([make(w) for make in made]))


def delta_of(kind, name, cut=pieces, block=None):
    return blocks(lambda w: (cut(w), block or {"type": "text", "text": ""}, kind, name))


USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}


def started(make):
    """Events after the start of the message."""
    return lambda w: stream([message_start(), *make(w)])


def opened(make):
    """A block that begins with text in it."""
    return started(
        lambda w: [
            named("content_block_start", index=0, content_block=make(w)),
            named("content_block_stop", index=0),
            *message_end(),
        ]
    )


def citations(name):
    return blocks(lambda w: ([{"type": "char_location", "cited_text": "a", "document_index": 0, name: f"Take a {w} {TAIL}"}],
                             {"type": "text", "text": "", "citations": []}, "citations_delta", "citation"))  # fmt: skip


def closing(**fields):
    def make(word):
        made = {name: one(word) for name, one in fields.items()}
        return stream(
            [
                message_start(),
                *block_events(["Bread."]),
                named(
                    "message_delta",
                    **{
                        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                        "usage": {"output_tokens": 1},
                        **made,
                    },
                ),
                named("message_stop"),
            ]
        )

    return make


ANTHROPIC = {
    "text": delta_of("text_delta", "text"),
    "text, a letter a delta": delta_of("text_delta", "text", letters),
    "text in block start": opened(lambda w: {"type": "text", "text": f"Take a {w} {TAIL}"}),
    "word over block start and delta": started(lambda w: [*block_events([f"{w[2:]} {TAIL}"], {"type": "text", "text": f"Take a {w[:2]}"}), *message_end()]),
    "text in message start": lambda w: stream([message_start(content=[{"type": "text", "text": f"Take a {w} {TAIL}"}]), *message_end()]),
    "word over two blocks": blocks(lambda w: ([f"Take a {w[:2]}"],), lambda w: ([f"{w[2:]} {TAIL}"],)),
    "a letter a block": lambda w: stream(message_events([([one],) for one in letters(w)])),
    "blocks by turns": started(lambda w: [named("content_block_start", index=at, content_block={"type": "text", "text": ""}) for at in (0, 1)]
                               + [named("content_block_delta", index=at, delta={"type": "text_delta", "text": one}) for one in letters(w) for at in (0, 1)] + message_end()),
    "delta without a start": started(lambda w: [named("content_block_delta", index=3, delta={"type": "text_delta", "text": one}) for one in letters(w)] + message_end()),
    "delta after its block's stop": started(lambda w: [*block_events(["Bread."]), *[named("content_block_delta", index=0, delta={"type": "text_delta", "text": one}) for one in letters(w)], *message_end()]),
    "delta after message_delta": started(lambda w: [*block_events(["Bread."]), message_end()[0], *block_events(letters(w), index=1), message_end()[1]]),
    "thinking": delta_of("thinking_delta", "thinking", block=THINKING),
    "thinking, a letter a delta": delta_of("thinking_delta", "thinking", letters, THINKING),
    "thinking in block start": opened(lambda w: {"type": "thinking", "thinking": f"Take a {w} {TAIL}", "signature": ""}),
    "signature_delta": delta_of("signature_delta", "signature", lambda w: [f"Take a {w} {TAIL}"], THINKING),
    "signature_delta, a word a delta": delta_of("signature_delta", "signature", pieces, THINKING),
    "redacted_thinking": opened(lambda w: {"type": "redacted_thinking", "data": f"Take a {w} {TAIL}"}),
    "tool input": delta_of("input_json_delta", "partial_json", word_in_arguments, USE),
    "tool input, a letter a delta": delta_of("input_json_delta", "partial_json", lambda w: ['{"a": "', *letters(w), '"}'], USE),
    "tool input, escapes a letter a delta": delta_of("input_json_delta", "partial_json", lambda w: ['{"a": "', *units(w), '", "b": "', TAIL, '"}'], USE),
    "tool input, key": delta_of("input_json_delta", "partial_json", lambda w: ['{"', *letters(w), '": 1}'], USE),
    "tool input, base64": delta_of("input_json_delta", "partial_json", lambda w: ['{"a": "', *base64.b64encode(SENTENCE.format(w).encode()).decode(), f' {TAIL}"}}'], USE),
    "tool input in block start": opened(lambda w: {**USE, "input": {"a": f"Take a {w} {TAIL}"}}),
    "tool name": opened(lambda w: {**USE, "name": f"make_{w}_{TAIL}"}),
    "server tool input": delta_of("input_json_delta", "partial_json", word_in_arguments, {**USE, "type": "server_tool_use", "name": "web_search"}),
    "web search result": opened(lambda w: {"type": "web_search_tool_result", "tool_use_id": "t1", "content": [{"type": "web_search_result", "title": f"Take a {w} {TAIL}", "url": "https://x/"}]}),
    "code execution result": opened(lambda w: {"type": "code_execution_tool_result", "tool_use_id": "t1", "content": {
        "type": "code_execution_result", "stdout": f"Take a {w} {TAIL}", "stderr": "", "return_code": 0, "content": []}}),
    "citation text": citations("cited_text"),
    "citation title": citations("document_title"),
    "citation, unknown field": citations("note"),
    "unknown delta": delta_of("zzz_delta", "zzz"),
    "unknown field of a delta": started(lambda w: [named("content_block_delta", index=0, delta={"type": "text_delta", "text": "x", "note": piece}) for piece in pieces(w)] + message_end()),
    "compaction delta": delta_of("compaction_delta", "content", block={"type": "compaction", "content": ""}),
    "unknown block": opened(lambda w: {"type": "zzz", "zzz": [f"Take a {w} {TAIL}"]}),
    "unknown event": started(lambda w: [named("zzz", text=f"Take a {w} {TAIL}"), *message_end()]),
    "unknown event, a letter an event": started(lambda w: [named("zzz", text=one) for one in letters(w)] + message_end()),
    "ping with text": started(lambda w: [named("ping", note=f"Take a {w} {TAIL}"), *message_end()]),
    "field beside a delta": started(lambda w: [named("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"}, note=piece) for piece in pieces(w)] + message_end()),
    "error event": started(lambda w: [named("error", error={"type": "api_error", "message": f"Take a {w} {TAIL}"})]),
    "stop_sequence": closing(delta=lambda w: {"stop_reason": "stop_sequence", "stop_sequence": f"Take a {w} {TAIL}"}),
    "stop_reason": closing(delta=lambda w: {"stop_reason": f"Take a {w} {TAIL}", "stop_sequence": None}),
    "stop_details": closing(delta=lambda w: {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": f"Take a {w} {TAIL}"}}),
    "usage in message_delta": closing(usage=lambda w: {"output_tokens": 1, "note": f"Take a {w} {TAIL}"}),
    "field beside message_delta": closing(note=lambda w: f"Take a {w} {TAIL}"),
    "OpenAI chunk in a message": started(lambda w: [chunk({"content": f"Take a {w} {TAIL}"}), *message_end()]),
    "event without a name": started(lambda w: [sse({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": one}}) for one in letters(w)] + message_end()),
    "a huge event": started(lambda w: [*block_events(["Bread needs flour. " * 100_000 + f"a {w} {TAIL}"]), *message_end()]),
    "word at the very end": delta_of("text_delta", "text", lambda w: ["Take a ", *w]),
}  # fmt: skip


NO_TEXT = "pieces in the form of an identifier, in a field that no client shows"

#: What passes, and why.
GAPS = {
    "system_fingerprint": NO_TEXT,
    "obfuscation": NO_TEXT,
    "prompt_filter_results": NO_TEXT,
    "id, a letter a chunk": NO_TEXT,
    "word over content and refusal": TWO_PLACES,
}


ENDED = "a choice that goes on after its end: clients differ in what they do with it"
REFUSED = {
    "delta after finish_reason": ENDED,
    "finish_reason twice": ENDED,
    "delta after message_delta": ENDED,
}


def every():
    for dialect, table in (("openai", OPENAI), ("anthropic", ANTHROPIC)):
        for name, make in table.items():
            kind = {"expect": GAP, "reason": GAPS[name]} if name in GAPS else {}
            if name in REFUSED:
                kind = {"expect": FAULT, "reason": REFUSED[name]}
            yield Case(
                f"{dialect} stream: {name}",
                dialect,
                lambda _, dialect=dialect: ask(dialect, stream=True),
                make,
                **kind,
            )
