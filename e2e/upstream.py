"""A scripted LLM upstream in both dialects: the model's name says what it answers.

It keeps what it received, byte for byte, and what it sent, so that a case can hold both against
what the SDK sent and saw.

- ``normal``   a harmless answer, in several chunks
- ``harmful``  an answer that breaks the test policy, with the words split over chunks; a stream
               goes on for seconds after it, so that a gate that does not hang up is seen
- ``card``     an answer with a card number that the policy redacts
- ``tool``     a call of the tool ``weather``
- ``cut``      an answer that breaks off in the middle
- ``busy``     429 with ``retry-after``
"""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NORMAL = ["Bread ", "needs flour, ", "water, salt ", "and é", " time."]
HARMFUL = ["Of course. ", "The plan is called project ni", "ghtfall and ", "starts at dawn."]
CARD = ["Your card is 4111 1111 ", "1111 1111, ", "as you asked."]
TOOL_ARGUMENTS = ['{"city": ', '"Vien', 'na"}']
TEXTS = {"normal": NORMAL, "harmful": HARMFUL, "card": CARD, "cut": NORMAL}


@dataclass
class Seen:
    """A request as it arrived."""

    path: str
    headers: dict
    body: bytes
    sent: bytes = b""
    #: Set when the answer was handed over whole, or the other side hung up.
    ended: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False

    @property
    def json(self):
        return json.loads(self.body)


class Upstream:
    """The server, on a free port of loopback."""

    def __init__(self):
        self.seen = []
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without it, small writes wait for the other side's acknowledgement.
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def do_GET(self):
                seen = upstream.keep(self, b"")
                models = [{"id": "normal", "object": "model", "created": 1, "owned_by": "e2e"}]
                answer_whole(self, seen, {"object": "list", "data": models})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                seen = upstream.keep(self, body)
                try:
                    answer(self, seen)
                except (BrokenPipeError, ConnectionResetError):
                    seen.cancelled = True
                    self.close_connection = True
                finally:
                    seen.ended.set()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, handler, body):
        headers = {name.lower(): value for name, value in handler.headers.items()}
        seen = Seen(handler.path, headers, body)
        self.seen.append(seen)
        return seen

    def stop(self):
        """Stops listening: the next connection is refused."""
        self.server.shutdown()
        self.server.server_close()


def answer(handler, seen):
    request = seen.json
    script = request["model"]
    dialect = Anthropic if seen.path.startswith("/v1/messages") else OpenAi
    if script == "busy":
        error = {"type": "rate_limit_error", "message": "slow down"}
        body = {"type": "error", "error": error} if dialect is Anthropic else {"error": error}
        return answer_whole(handler, seen, body, status=429, extra={"retry-after": "7"})
    if not request.get("stream"):
        body = dialect.tool_call() if script == "tool" else dialect.whole("".join(TEXTS[script]))
        return answer_whole(handler, seen, body, cut=script == "cut")
    return answer_stream(handler, seen, script, list(dialect.events(script, request)))


def answer_whole(handler, seen, body, status=200, extra=None, cut=False):
    # Spaces, key order and escapes that a proxy which writes JSON anew would not keep.
    text = json.dumps(body, indent=1, ensure_ascii=True).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(text)))
    for name, value in (extra or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    seen.sent = text[: len(text) // 2] if cut else text
    handler.wfile.write(seen.sent)
    if cut:
        handler.close_connection = True


def answer_stream(handler, seen, script, events):
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()

    def send(event):
        # Kept before it leaves: the client may have the last event before the next line runs.
        seen.sent += event
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))

    hung_up = threading.Event()
    for idx, event in enumerate(events):
        if script == "cut" and idx == len(events) // 2:
            handler.close_connection = True
            return
        send(event)
        # A stream with time between its chunks, as real ones have.
        hung_up.wait(0.01)
    handler.wfile.write(b"0\r\n\r\n")


def sse(data, name=None):
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def long_after():
    """Harmless words for some seconds: only a gate that hangs up ends them early."""
    return [f"Line {number} of many. " for number in range(300)]


class OpenAi:
    @staticmethod
    def whole(text):
        message = {"role": "assistant", "content": text, "refusal": None}
        return OpenAi.completion(message, "stop")

    @staticmethod
    def tool_call():
        call = {"name": "weather", "arguments": "".join(TOOL_ARGUMENTS)}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        return OpenAi.completion(message, "tool_calls")

    @staticmethod
    def completion(message, finish_reason):
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        return {
            "id": "chatcmpl-e2e", "object": "chat.completion", "created": 1700000000,
            "model": "e2e", "choices": [choice], "usage": usage,
            "x_vendor": {"cost": 1.50, "note": "caf\u00e9"},
        }  # fmt: skip

    @staticmethod
    def events(script, request):
        def chunk(delta, finish_reason=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            return sse({
                "id": "chatcmpl-e2e", "object": "chat.completion.chunk", "created": 1700000000,
                "model": "e2e", "choices": [choice], "x_vendor": {"cost": 1.50},
            })  # fmt: skip

        yield chunk({"role": "assistant", "content": ""})
        if script == "tool":
            yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function",
                                         "function": {"name": "weather", "arguments": ""}}]})  # fmt: skip
            for piece in TOOL_ARGUMENTS:
                yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
            yield chunk({}, "tool_calls")
        else:
            for piece in TEXTS[script] + (long_after() if script == "harmful" else []):
                yield chunk({"content": piece})
            yield chunk({}, "stop")
        if (request.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
            yield sse({
                "id": "chatcmpl-e2e", "object": "chat.completion.chunk", "created": 1700000000,
                "model": "e2e", "choices": [], "usage": usage,
            })  # fmt: skip
        yield b"data: [DONE]\n\n"


class Anthropic:
    @staticmethod
    def whole(text):
        return Anthropic.message([{"type": "text", "text": text}], "end_turn")

    @staticmethod
    def tool_call():
        given = json.loads("".join(TOOL_ARGUMENTS))
        use = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": given}
        return Anthropic.message([use], "tool_use")

    @staticmethod
    def message(content, stop_reason):
        return {
            "id": "msg_e2e", "type": "message", "role": "assistant", "model": "e2e",
            "content": content, "stop_reason": stop_reason, "stop_sequence": None,
            "usage": {"input_tokens": 9, "output_tokens": 9}, "x_vendor": {"cost": 1.50},
        }  # fmt: skip

    @staticmethod
    def events(script, _request):
        def event(name, **data):
            return sse({"type": name, **data}, name)

        yield event("message_start", message=Anthropic.message([], None))
        if script == "tool":
            block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": p} for p in TOOL_ARGUMENTS]
        else:
            block = {"type": "text", "text": ""}
            pieces = TEXTS[script] + (long_after() if script == "harmful" else [])
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
        yield event("content_block_start", index=0, content_block=block)
        yield event("ping")
        for delta in deltas:
            yield event("content_block_delta", index=0, delta=delta)
        yield event("content_block_stop", index=0)
        stop_reason = "tool_use" if script == "tool" else "end_turn"
        stop = {"stop_reason": stop_reason, "stop_sequence": None}
        yield event("message_delta", delta=stop, usage={"output_tokens": 9})
        yield event("message_stop")
