"""What must come of a case, by its kind."""

import json
import re
from urllib.parse import unquote_to_bytes

from . import wire
from .answers import normal
from .case import BAD, BENIGN, BLOCK, DROP, FAULT, GAP, LOCAL, REFUSE, TAIL, TWIN

#: A stream whose text had ended properly before the bad text came.
FINISHED = re.compile(rb'"(finish_reason|stop_reason)": ?"(stop|length|end_turn)"')


class Differs(Exception):
    """A second reader finds something else than the client sent."""


class Run:
    """One half of a case: what was sent, what arrived, what came back."""

    def __init__(self, world, case, word):
        self.http = case.request(word)
        self.answer = case.answer(word) if case.answer else normal(case.dialect, self.http)
        world.upstream.answer = self.answer
        self.late = world.upstream.taken()
        world.n_sent += 1
        # A key of its own: what the gate remembers of one conversation must not help the next.
        self.reply = wire.send(world.gate.address, self.http, f"key-{world.n_sent}")
        self.got = world.upstream.taken()


def judge(world, case):
    """What is wrong: a list of `(half, what)`, empty when the case holds."""
    if case.expect == BENIGN:
        what = passes(case, Run(world, case, TWIN))
        return [(TWIN, f"a harmless text was held up: {what}")] if what else []
    bad, twin = Run(world, case, BAD), Run(world, case, TWIN)
    wrong = []
    for late in bad.late + twin.late:
        if BAD.encode() in late.raw:
            wrong.append((BAD, "a request of the case before arrived late"))
    if case.expect == GAP:
        if held := passes(case, bad):
            wrong.append((BAD, f"this gap is closed now, expect it to hold: {held}"))
        wrong += [(TWIN, what) for what in [passes(case, twin)] if what]
    elif case.expect == REFUSE:
        wrong += [(BAD, what) for what in [refused(case, bad)] if what]
        wrong += [(TWIN, what) for what in [refused(case, twin)] if what]
        if bad.reply.status != twin.reply.status:
            wrong.append(
                (TWIN, f"refused with {twin.reply.status}, the bad one with {bad.reply.status}")
            )
    elif case.expect == FAULT:
        wrong += [(BAD, what) for what in [leak(case, bad)] if what]
        if b"stream_error" not in twin.reply.body and b"event: error" not in twin.reply.body:
            wrong.append((TWIN, f"it does not end in an error: {twin.reply}"))
    elif case.expect == LOCAL:
        wrong += [(BAD, what) for what in [local(bad)] if what]
        wrong += [(TWIN, what) for what in [local(twin)] if what]
    elif case.expect == DROP:
        wrong += [
            (BAD, what) for what in [leak(case, bad) if case.answer else arrived(bad)] if what
        ]
        wrong += [
            (TWIN, what) for what in [passes(case, twin) if case.answer else answered(twin)] if what
        ]
    elif case.expect == BLOCK:
        wrong += [(BAD, what) for what in [stop_of(case, bad)] if what]
        wrong += [(TWIN, what) for what in [passes(case, twin)] if what]
    return wrong


def arrived(run):
    """Whether the word reached the upstream anywhere: in a header, a query, a body."""
    return (
        "the word reached the upstream"
        if any(BAD.encode() in unquote_to_bytes(got.raw) for got in run.got)
        else None
    )


def answered(run):
    if run.reply.status == 200 and len(run.got) == 1:
        return None
    return f"{len(run.got)} requests reached the upstream; client got {run.reply}"


def stop_of(case, run):
    """Why a bad half was not stopped; `None` when it was."""
    if case.answer:
        return leak(case, run)
    if run.got:
        return f"reached the upstream; client got {run.reply.status}"
    if not says_refusal(run.reply):
        return f"did not arrive, but the client sees no refusal: {run.reply}"
    return None


def leak(case, run):
    """What of a bad answer the client saw; `None` when nothing."""
    seen = run.reply.body
    texts = texts_of(seen)
    for secret in [BAD, TAIL, *run.answer.secrets]:
        if secret.encode() in seen or any(secret.lower() in text.lower() for text in texts):
            return f"the client saw {secret!r}"
    if not run.got:
        return "the request did not reach the upstream"
    if case.expect == BLOCK and seen == run.answer.delivered:
        return "the client got the whole answer"
    ended = "event-stream" in run.reply.headers.get("content-type", "") and FINISHED.search(seen)
    if not says_refusal(run.reply) and run.reply.whole and not ended:
        return f"nothing leaked, but the client sees no refusal: {run.reply}"
    return None


def says_refusal(reply):
    if reply.status is None or 400 <= reply.status < 600:
        return True
    body = reply.body.replace(b" ", b"")
    marks = [
        b'"finish_reason":"content_filter"',
        b'"stop_reason":"refusal"',
        b'"error":{',
        b'"flagged":true',
    ]
    return any(mark in body for mark in marks)


def passes(case, run):
    """Why a half did not pass untouched; `None` when it did."""
    if len(run.got) != 1:
        return f"{len(run.got)} requests reached the upstream; client got {run.reply}"
    if run.reply.status != run.answer.status:
        return f"answered {run.reply}"
    got, http = run.got[0].body, run.http
    if got != http.forwarded:
        return f"the upstream got other bytes: {got[:160]!r}"
    if http.document is not None and (read := second_reading(got)) != http.document:
        return f"a second reader finds {str(read)[:160]}"
    if run.reply.body != run.answer.delivered:
        return f"the client got other bytes: {run.reply.body[-200:]!r}"
    return None if run.reply.whole else "the answer was cut off"


def refused(case, run):
    if case.answer:
        seen = run.reply.body
        if TAIL.encode() in seen or BAD.encode() in seen:
            return "the client saw the answer"
        # A stream has begun with 200, so it ends with an error event or is cut off.
        return None if says_refusal(run.reply) or not run.reply.whole else f"answered {run.reply}"
    if run.got:
        return "reached the upstream"
    status = run.reply.status
    return None if status is None or 400 <= status < 500 else f"answered {run.reply}"


def local(run):
    if run.got:
        return "reached the upstream"
    return None if run.reply.status == 200 else f"answered {run.reply}"


def second_reading(body):
    """JSON by another parser, which must not have to choose between two members of a name."""

    def members(pairs):
        if len({name for name, _ in pairs}) != len(pairs):
            raise Differs("two members of one name")
        return dict(pairs)

    return json.loads(body, object_pairs_hook=members)


def texts_of(body):
    """Every string of an answer, put together over events by the place it stands at."""
    documents = [body] + re.findall(rb"^data:[ ]?(.*?)\r?$", body.replace(b"\r", b"\n"), re.M)
    joined = {}
    for data in documents:
        try:
            gather(json.loads(data), (), joined)
        except ValueError:
            continue
    return joined.values()


def gather(value, place, joined):
    if isinstance(value, str):
        joined[place] = joined.get(place, "") + value
    elif isinstance(value, list):
        for idx, item in enumerate(value):
            number = item.get("index", idx) if isinstance(item, dict) else "*"
            gather(item, (*place, number), joined)
    elif isinstance(value, dict):
        number = (value["index"],) if isinstance(value.get("index"), int) else ()
        for key, item in value.items():
            joined[(*place, "keys")] = joined.get((*place, "keys"), "") + key
            gather(item, (*place, *number, key), joined)
