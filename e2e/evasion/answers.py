"""Answers of the upstream in both dialects, whole and as streams."""

import json

from .case import Answer

JSON = [("content-type", "application/json")]
STREAM = [("content-type", "text/event-stream")]
USAGE = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}


def dump(value):
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def whole(document, **options):
    return Answer([dump(document)], JSON, framing="length", **options)


def stream(events, **options):
    return Answer(list(events), STREAM, **options)


def sse(data, name=None):
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + (data if isinstance(data, bytes) else dump(data)) + b"\n\n"


def normal(dialect, http):
    """A harmless answer of the shape that the request asks for."""
    streamed = isinstance(http.document, dict) and http.document.get("stream") is True
    if dialect == "openai":
        text = {"content": "Bread needs time."}
        return chat_stream([text]) if streamed else chat(text)
    text = {"type": "text", "text": "Bread needs time."}
    return message_stream([("Bread needs time.",)]) if streamed else message([text])


# OpenAI


def chat(message, finish="stop", choice=None, **top):
    first = {
        "index": 0,
        "message": {"role": "assistant", "content": None, **message},
        "finish_reason": finish,
    }
    return whole({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": "m",
        "choices": [{**first, **(choice or {})}], "usage": USAGE, **top,
    })  # fmt: skip


def chunk(delta, finish=None, index=0, choice=None, **top):
    one = {"index": index, "delta": delta, "finish_reason": finish, **(choice or {})}
    return sse({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m",
        "choices": [one], **top,
    })  # fmt: skip


DONE = b"data: [DONE]\n\n"


def chat_events(deltas, finish="stop", index=0):
    yield chunk({"role": "assistant", "content": ""}, index=index)
    for delta in deltas:
        yield chunk(delta, index=index)
    yield chunk({}, finish, index=index)
    yield DONE


def chat_stream(deltas, **options):
    return stream(chat_events(deltas), **options)


# Anthropic


def message(content, **top):
    return whole({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": "end_turn", "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 9}, **top,
    })  # fmt: skip


def named(kind, **data):
    return sse({"type": kind, **data}, kind)


def message_start(**top):
    begun = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1},
    }  # fmt: skip
    return named("message_start", message={**begun, **top})


def message_end():
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    return [named("message_delta", delta=ended, usage={"output_tokens": 9}), named("message_stop")]


def block_events(pieces, block=None, delta="text_delta", field="text", index=0):
    yield named(
        "content_block_start", index=index, content_block=block or {"type": "text", "text": ""}
    )
    for piece in pieces:
        yield named("content_block_delta", index=index, delta={"type": delta, field: piece})
    yield named("content_block_stop", index=index)


def message_events(blocks):
    """`blocks`: for each content block the arguments of `block_events`, without its index."""
    yield message_start()
    for index, block in enumerate(blocks):
        pieces, *rest = block if isinstance(block, tuple) else (block,)
        yield from block_events([pieces] if isinstance(pieces, str) else pieces, *rest, index=index)
    yield from message_end()


def message_stream(blocks, **options):
    return stream(message_events(blocks), **options)
