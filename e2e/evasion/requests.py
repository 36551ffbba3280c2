"""Requests in both dialects."""

import json

from .case import PATHS, SENTENCE, Http


def text(word):
    return SENTENCE.format(word)


def send(document, dialect="openai", **options):
    """A document as it is sent by default; `options` are those of `Http`."""
    options.setdefault("target", PATHS[dialect])
    body = json.dumps(document, ensure_ascii=False).encode()
    return Http(body, document=document, **options)


def post(body, dialect="openai", **options):
    """Bytes as they are, whatever they say."""
    options.setdefault("target", PATHS[dialect])
    return Http(body if isinstance(body, bytes) else body.encode(), **options)


def document(dialect, content=None, **top):
    """A whole request with one user turn; `top` adds and replaces fields."""
    asked = content if content is not None else "How are you?"
    base = {"model": "m", "messages": [{"role": "user", "content": asked}]}
    if dialect == "anthropic":
        base["max_tokens"] = 64
    return {**base, **top}


def ask(dialect, content=None, **top):
    return send(document(dialect, content, **top), dialect)


def turns(dialect, *messages, **top):
    """A conversation of `(role, content)` pairs or whole messages."""
    made = [
        {"role": one[0], "content": one[1]} if isinstance(one, tuple) else one for one in messages
    ]
    return send({**document(dialect), "messages": made, **top}, dialect)
