"""Runs tables of cases against one gate and prints what became of each."""

import contextlib
import os
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable

from checks import equal, expect
from gate import SECRET, Gate

from .upstream import RawUpstream

#: Headers that belong to one connection, and ours: none may reach the upstream.
NEVER_FORWARDED = {
    b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"expect",
    b"content-encoding", b"proxy-authorization", b"proxy-connection", b"http2-settings", b"x-hop",
}  # fmt: skip


@dataclass
class Case:
    """`run` raises an `AssertionError` when the gate does not do what `section` says."""

    name: str
    section: str
    run: Callable


@dataclass
class World:
    """What a case works with."""

    gate: Gate
    upstream: RawUpstream
    #: Every body that a case expected at the upstream; `nothing_else_was_forwarded` holds on to it.
    expected: list = field(default_factory=list)
    #: Bodies that the upstream may have got once, or not.
    optional: list = field(default_factory=list)

    @property
    def address(self):
        host, port = self.gate.url.removeprefix("http://").split(":")
        return host, int(port)

    def forwarded(self, mark):
        """The chat requests that reached the upstream since `mark`."""
        return [one for one in self.upstream.seen[mark:] if one.method == b"POST"]

    def expect_forwarded(self, mark, bodies):
        found = [one.body for one in self.forwarded(mark)]
        equal(found, list(bodies), "bodies at the upstream")
        self.expected += bodies

    def memory(self):
        """The most memory that the gate has used so far, in MiB."""
        with open(f"/proc/{self.gate.process.pid}/status") as status:
            peak = next(line for line in status if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024


@contextlib.contextmanager
def started(binary, via=contextlib.nullcontext, **settings):
    """A gate with its upstream; `settings` are configuration keys, `__` goes one level down.

    `via(url)` is a context that gives the address of a server between the two.
    """
    variables = {f"PORTCULLIS_{key.upper()}": value for key, value in settings.items()}
    upstream = RawUpstream()
    with tempfile.TemporaryDirectory() as folder, via(upstream.url) as url:
        os.environ.update(variables)
        try:
            gate = Gate(binary, url, folder)
        finally:
            for key in variables:
                del os.environ[key]
        try:
            yield World(gate, upstream)
        finally:
            if gate.process.poll() is None:
                gate.stop()


def nothing_else_was_forwarded(world):
    """Late requests count too: a body that no case expected was screened by nobody's leave."""
    left, optional = list(world.expected), list(world.optional)
    for one in world.forwarded(0):
        source = left if one.body in left else optional
        expect(one.body in source, f"the upstream got {one.body[:200]!r}")
        source.remove(one.body)
    equal(left, [], "bodies that the upstream never got")


def the_upstream_read_every_request_strictly(world):
    equal(world.upstream.faults, [], "faults in what the gate sent")
    for one in world.upstream.seen:
        expect(SECRET.encode() not in one.raw.lower(), f"the upstream got {one.raw!r}")
        names = {name for name, _ in one.headers}
        wrong = names & NEVER_FORWARDED
        wrong |= {name for name in names if name.startswith(b"x-portcullis-")}
        expect(not wrong, f"{wrong} in {one.head!r}")


def the_gate_lives(world):
    equal(world.gate.process.poll(), None, "exit code of the gate")
    expect(world.gate.get("/livez") is not None, "/livez does not answer")


def it_ends_cleanly(world):
    equal(world.gate.stop(), 0, "exit code after SIGTERM")


LAST = [
    Case(check.__name__, "after all", check)
    for check in (
        nothing_else_was_forwarded,
        the_upstream_read_every_request_strictly,
        the_gate_lives,
        it_ends_cleanly,
    )
]


@dataclass
class Tally:
    """Counts, and the exceptions that are known: `{name: reason}`, where `name*` is a beginning.

    A known exception must still fail; one that passes is a failure, so that the table stays true.
    """

    exceptions: dict
    only: list
    passed: int = 0
    failed: int = 0
    excepted: int = 0

    def run(self, world, cases, at_once=1):
        """Runs `cases` in order, then what must hold after all. More than one `at_once` is for
        cases that wait and forward nothing."""
        chosen = [one for one in cases if not self.only or any(part in one.name for part in self.only)]
        with ThreadPoolExecutor(at_once) as pool:
            for case, problem in zip(chosen, pool.map(lambda one: outcome(one, world), chosen)):
                self.count(case, problem)
        for case in LAST:
            self.count(case, outcome(case, world))

    def count(self, case, problem):
        reason = next((self.exceptions[key] for key in self.exceptions if is_named(case.name, key)), None)
        if reason and problem:
            self.excepted += 1
            print(f"known {case.name} [{case.section}]: {reason}")
        elif reason:
            self.failed += 1
            print(f"FAIL  {case.name}: it passes now; take it out of the exceptions")
        elif problem:
            self.failed += 1
            print(f"FAIL  {case.name} [{case.section}]: {problem}")
        else:
            self.passed += 1
            print(f"ok    {case.name} [{case.section}]")

    def report(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.excepted} excepted")
        return 1 if self.failed or not self.passed else 0


def is_named(name, key):
    """Whether an exception means this case; one that ends in `*` means all that begin so."""
    return name.startswith(key[:-1]) if key.endswith("*") else name == key


def outcome(case, world):
    """`None`, or what is wrong. A case that fails must not hide the others."""
    mark, expected = len(world.upstream.seen), list(world.expected)
    try:
        case.run(world)
    except Exception as error:
        # Said once is enough: what this case let through does not fail the last ones too.
        world.expected = expected + [one.body for one in world.forwarded(mark)]
        if not isinstance(error, AssertionError):
            traceback.print_exc(limit=-4)
        return f"{type(error).__name__}: {error}"
    return None
