"""Assertions that both dialects share."""

import re


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def equal(found, wanted, what):
    expect(found == wanted, f"{what}: found {found!r}, wanted {wanted!r}")


def raises(kind, call, status=None):
    """Runs `call`, which must raise `kind`; returns the exception."""
    try:
        call()
    except kind as error:
        if status is not None:
            equal(error.status_code, status, "status")
        return error
    raise AssertionError(f"{kind.__name__} was not raised")


def headers_say(headers, action, coverage, world):
    """The headers of DESIGN 5.2; notes the decision, which must be recorded exactly once."""
    equal(headers.get("x-portcullis-action"), action, "x-portcullis-action")
    equal(headers.get("x-portcullis-coverage"), coverage, "x-portcullis-coverage")
    policy = headers.get("x-portcullis-policy", "")
    expect(re.fullmatch(r"e2e@[0-9a-f]{8}", policy), f"x-portcullis-policy: {policy!r}")
    expect(headers.get("x-request-id"), "x-request-id is missing")
    timing = headers.get("server-timing", "")
    expect("guard;dur=" in timing, f"server-timing: {timing!r}")
    decision = headers.get("x-portcullis-decision")
    expect(decision, "x-portcullis-decision is missing")
    world.decisions.append(decision)
    return decision


def hides(text, *words):
    """None of the words stands in what the person or the upstream saw."""
    for word in words:
        expect(word.lower() not in text.lower(), f"{word!r} got through in {text!r}")
