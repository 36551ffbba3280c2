"""HTTP load from one event loop: closed (so many connections) or open (so many a second)."""

import asyncio
import collections
import dataclasses
import random
import time

import numpy as np


@dataclasses.dataclass(slots=True)
class Sample:
    """When a request was due, what its answer took from then and from when it was sent."""

    request: int
    due: float
    seconds: float
    since_sent: float
    status: int


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time."""

    def __init__(self):
        self.buffer, self.waiter, self.closed = bytearray(), None, False

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, _error):
        self.closed = True
        if self.waiter and not self.waiter.done():
            self.waiter.set_exception(ConnectionError("the server closed the connection"))

    def data_received(self, chunk):
        self.buffer += chunk
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end]).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return
        body = bytes(self.buffer[end + 4 : end + 4 + length])
        del self.buffer[: end + 4 + length]
        self.waiter.set_result((int(head[9:12]), body))

    def ask(self, request):
        """Status and body, to be awaited."""
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.waiter


async def connect(port):
    loop = asyncio.get_running_loop()
    return (await loop.create_connection(Connection, "127.0.0.1", port))[1]


def post(path, body):
    """A whole request."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: load\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def closed_loop(port, requests, n_connections, seconds):
    """Every connection asks again as soon as it is answered; answers of the time are kept."""
    samples, next_request = [], iter(range(2**62))
    start = time.perf_counter()

    async def one():
        connection = await connect(port)
        while (due := time.perf_counter()) < start + seconds:
            number = next(next_request) % len(requests)
            status, _ = await connection.ask(requests[number])
            done = time.perf_counter()
            samples.append(Sample(number, due - start, done - due, done - due, status))
        connection.transport.close()

    await asyncio.gather(*(one() for _ in range(n_connections)))
    return samples


class Lane(asyncio.Protocol):
    """A keep-alive connection of the open loop, without a task or a future for each request.

    The load runs on the server's cores, so what it takes is missing there.
    """

    def __init__(self, loop):
        self.loop, self.buffer, self.asked, self.closed = loop, b"", None, False

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, _error):
        self.closed = True
        if self.asked and not self.loop.ended.done():
            error = ConnectionError("the server closed the connection")
            self.loop.ended.set_exception(error)

    def ask(self, number, due):
        self.asked = (number, due, time.perf_counter())
        self.transport.write(self.loop.requests[number])

    def data_received(self, chunk):
        self.buffer = buffer = self.buffer + chunk if self.buffer else chunk
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = buffer.find(b"content-length: ", 0, end) + 16
        length = int(buffer[at : buffer.index(b"\r", at)])
        if len(buffer) < end + 4 + length:
            return
        self.buffer = b""
        self.loop.answered(self, int(buffer[9:12]))


class OpenLoop:
    """What is due, what is in flight, and what was answered."""

    def __init__(self, port, requests, max_lanes):
        self.port, self.requests, self.samples = port, requests, []
        self.idle, self.waiting = [], collections.deque()
        self.lanes, self.n_free, self.connecting = [], max_lanes, set()
        self.n_asked, self.is_over = 0, False
        self.ended = asyncio.get_running_loop().create_future()
        self.start = time.perf_counter()

    def ask(self, number, due):
        self.n_asked += 1
        while self.idle and self.idle[-1].closed:
            self.idle.pop()
            self.n_free += 1
        if self.idle:
            self.idle.pop().ask(number, due)
        elif self.n_free:
            self.n_free -= 1
            task = asyncio.create_task(self.connect(number, due))
            self.connecting.add(task)
            task.add_done_callback(self.connecting.discard)
        else:
            self.waiting.append((number, due))

    async def connect(self, number, due):
        running = asyncio.get_running_loop()
        _, lane = await running.create_connection(lambda: Lane(self), "127.0.0.1", self.port)
        self.lanes.append(lane)
        lane.ask(number, due)

    def answered(self, lane, status):
        number, due, sent = lane.asked
        done = time.perf_counter()
        self.samples.append(Sample(number, due, done - self.start - due, done - sent, status))
        lane.asked = None
        if self.waiting:
            lane.ask(*self.waiting.popleft())
        else:
            self.idle.append(lane)
        self.end()

    def end(self):
        if self.is_over and len(self.samples) == self.n_asked and not self.ended.done():
            self.ended.set_result(None)


async def open_loop(port, requests, rate, seconds, max_connections=2048):
    """Requests fall due at random moments (Poisson, seeded) whether or not others were answered.

    Time runs from the moment a request was due. Past `max_connections` in flight a request waits
    for a connection, which its time shows.
    """
    draw, loop = random.Random(7), OpenLoop(port, requests, max_connections)
    due, number = draw.expovariate(rate), 0
    while due < seconds:
        ahead = loop.start + due - time.perf_counter()
        # A sleep ends up to a millisecond late; what fell due meanwhile is sent together.
        await asyncio.sleep(max(0.0, ahead))
        while due < min(seconds, time.perf_counter() - loop.start):
            loop.ask(number % len(requests), due)
            due, number = due + draw.expovariate(rate), number + 1
    loop.is_over = True
    loop.end()
    await loop.ended
    for lane in loop.lanes:
        lane.transport.close()
    return loop.samples


async def each(port, requests, n_connections):
    """The body of every answer, in the order of the requests; all must be 200."""
    bodies = [b""] * len(requests)
    numbers = iter(range(len(requests)))

    async def one():
        connection = await connect(port)
        for number in numbers:
            status, bodies[number] = await connection.ask(requests[number])
            if status != 200:
                raise SystemExit(f"text {number}: status {status}: {bodies[number][:200]}")
        connection.transport.close()

    await asyncio.gather(*(one() for _ in range(n_connections)))
    return bodies


def figures(samples, seconds, n_tokens, skip=0.0):
    """Rates and percentiles of what was answered 200, and of what was refused.

    `n_tokens` are those of each request: a server that answers the short ones only has a high rate
    of answers and not of tokens. `skip` leaves out the first seconds, in which queues fill and
    threads warm.
    """
    kept = [one for one in samples if skip <= one.due]
    answered = [one for one in kept if one.status == 200]
    refused = [one for one in kept if one.status != 200]
    in_time = [one for one in samples if one.status == 200]
    in_time = [one for one in in_time if skip <= one.due + one.seconds < seconds]
    found = {
        "offered_per_s": len(kept) / (seconds - skip),
        "answered_per_s": len(in_time) / (seconds - skip),
        "answered_tokens_per_s": sum(n_tokens[one.request] for one in in_time) / (seconds - skip),
        "statuses": dict(collections.Counter(str(one.status) for one in kept)),
    }
    for name, group in (("answered", answered), ("refused", refused)):
        if group:
            p50, p99 = np.percentile([one.seconds * 1e3 for one in group], (50, 99))
            sent = np.percentile([one.since_sent * 1e3 for one in group], 99)
            found |= {f"{name}_p50_ms": float(p50), f"{name}_p99_ms": float(p99)}
            found[f"{name}_p99_since_sent_ms"] = float(sent)
    return found
