"""Every case there is."""

from . import (
    fields_anthropic,
    fields_openai,
    framing,
    hidden,
    peers,
    streams,
    transport,
    whole,
    writing,
)


def every():
    made = [
        case
        for module in (
            peers,
            hidden,
            fields_openai,
            fields_anthropic,
            writing,
            transport,
            whole,
            streams,
            framing,
        )
        for case in module.every()
    ]
    names = [case.name for case in made]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"cases of one name: {twice}")
    return made
