"""Every case there is."""

from . import (
    fields_anthropic,
    fields_openai,
    framing,
    fresh,
    harmless,
    hidden,
    peers,
    streams,
    transport,
    whole,
    writing,
)

MODULES = [peers, hidden, harmless, fields_openai, fields_anthropic]
MODULES += [writing, transport, whole, streams, framing, fresh]


def every():
    made = [case for module in MODULES for case in module.every()]
    names = [case.name for case in made]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"cases of one name: {twice}")
    return made
