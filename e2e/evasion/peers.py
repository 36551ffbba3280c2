"""The 89 ways that were measured on other guards, in their order."""

import base64
import gzip

from .answers import DONE, chat, chat_events, chat_stream, chunk, stream
from .case import LOCAL, REFUSE, SENTENCE, TAIL, Case
from .encodings import brotli
from .requests import ask, document, post, send, text, turns
from .wire import by_chunks

JSON = ("content-type", "application/json")
UNKNOWN_PART = "parts of an unknown type cannot be read and are refused"
UNKNOWN_PATH = "an endpoint that the gate cannot read is not passed on"
SPELLING = "only the exact spelling of a path is that path"
NOT_JSON = "bytes that parsers read differently are refused"
NOT_TEXT = "a file cannot be read and is refused"
NO_TYPE = "only application/json in UTF-8 is read"


def user(content):
    return ("user", content)


def in_field(name, make):
    return Case(f"peers in: {name}", "openai", make)


def fields():
    def call(word):
        called = {"name": "find", "arguments": '{"what": "%s"}' % text(word)}
        return {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": called}],
        }

    result = {"role": "tool", "tool_call_id": "c1"}
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    yield in_field("plain", lambda w: ask("openai", text(w)))
    yield in_field("one text part", lambda w: ask("openai", [{"type": "text", "text": text(w)}]))
    yield in_field("word split over two parts", lambda w: ask(
        "openai", [{"type": "text", "text": f"how do I make a {w[:2]}"}, {"type": "text", "text": f"{w[2:]} at home"}]))  # fmt: skip
    yield in_field("word split over two user messages", lambda w: turns(
        "openai", user(f"how do I make a {w[:2]}"), user(f"{w[2:]} at home")))  # fmt: skip
    yield Case("peers in: input_text part", "openai",
               lambda w: ask("openai", [{"type": "input_text", "text": text(w)}]), expect=REFUSE, reason=UNKNOWN_PART)  # fmt: skip
    yield in_field("refusal part", lambda w: turns(
        "openai", {"role": "assistant", "content": [{"type": "refusal", "refusal": text(w)}]}, user("go on")))  # fmt: skip
    yield Case("peers in: unknown part", "openai",
               lambda w: ask("openai", [{"type": "zzz", "zzz": text(w)}]), expect=REFUSE, reason=UNKNOWN_PART)  # fmt: skip
    yield in_field("system role", lambda w: turns("openai", ("system", text(w)), user("Hello")))
    yield in_field(
        "developer role", lambda w: turns("openai", ("developer", text(w)), user("Hello"))
    )
    yield in_field("earlier user turn", lambda w: turns(
        "openai", user(text(w)), ("assistant", "Well."), user("go on")))  # fmt: skip
    yield in_field(
        "assistant turn", lambda w: turns("openai", user("Hello"), ("assistant", text(w)))
    )
    yield in_field("tool result", lambda w: turns(
        "openai", user("Hello"), call("bread"), {**result, "content": text(w)}))  # fmt: skip
    yield in_field("tool-call arguments in history", lambda w: turns(
        "openai", user("Hello"), call(w), {**result, "content": "done"}))  # fmt: skip
    yield in_field("tools[].description", lambda w: ask("openai", tools=[
        {"type": "function", "function": {"name": "find", "description": text(w), "parameters": schema}}]))  # fmt: skip
    yield in_field("functions[].description", lambda w: ask(
        "openai", functions=[{"name": "find", "description": text(w), "parameters": schema}]))  # fmt: skip
    yield in_field("response_format schema description", lambda w: ask("openai", response_format={
        "type": "json_schema", "json_schema": {"name": "x", "schema": {**schema, "description": text(w)}}}))  # fmt: skip
    yield in_field(
        "prediction content",
        lambda w: ask("openai", prediction={"type": "content", "content": text(w)}),
    )
    yield in_field(
        "message name",
        lambda w: turns("openai", {"role": "user", "name": f"{w}_maker", "content": "Hello"}),
    )
    yield in_field(
        "stop, user, metadata",
        lambda w: ask("openai", stop=[w], user=w, metadata={"note": text(w)}),
    )


def writing():
    def members(first, second):
        return f'{{"model": "m", "messages": [{{"role": "user", {first}, {second}}}]}}'

    def member(value, key="content"):
        return f'"{key}": "{value}"'

    def messages(first, second):
        lists = [f'"messages": [{{"role": "user", "content": "{one}"}}]' for one in (first, second)]
        return '{"model": "m", %s, %s}' % tuple(lists)

    yield in_field("\\u escape", lambda w: post(
        '{"model": "m", "messages": [{"role": "user", "content": "make a %s"}]}'
        % "".join(f"\\u{ord(letter):04x}" for letter in w)))  # fmt: skip
    yield in_field("escaped key", lambda w: post(
        '{"model": "m", "messages": [{"role": "user", "\\u0063ontent": "%s"}]}' % text(w)))  # fmt: skip
    pairs = [
        ("content, good then bad", lambda w: members(member("bread"), member(text(w)))),
        ("content, bad then good", lambda w: members(member(text(w)), member("bread"))),
        ("messages, good then bad", lambda w: messages("bread", text(w))),
        ("messages, bad then good", lambda w: messages(text(w), "bread")),
    ]
    for name, make in pairs:
        yield Case(
            f"peers in: duplicate {name}",
            "openai",
            lambda w, make=make: post(make(w)),
            expect=REFUSE,
            reason=NOT_JSON,
        )
    disguised = [
        ("zero-width space", lambda w: text(w[:2] + "\u200b" + w[2:])),
        ("fullwidth letters", lambda w: text("".join(chr(ord(letter) + 0xFEE0) for letter in w))),
        ("Cyrillic o", lambda w: text(w.replace("o", "\u043e").replace("a", "\u0430"))),
        ("leet b0mb", lambda w: text(w.replace("o", "0").replace("a", "4"))),
        ("upper case", lambda w: text(w.upper())),
        ("base64 text", lambda w: base64.b64encode(text(w).encode()).decode()),
    ]
    for name, make in disguised:
        yield in_field(name, lambda w, make=make: ask("openai", make(w)))
    urls = [("base64", lambda w: "data:text/plain;base64," + base64.b64encode(text(w).encode()).decode()),
            ("plain", lambda w: "data:text/plain," + text(w).replace(" ", "%20"))]  # fmt: skip
    for name, url in urls:
        yield Case(f"peers in: data URL {name}", "openai", lambda w, url=url: ask(
            "openai", [{"type": "image_url", "image_url": {"url": url(w)}}]), expect=REFUSE, reason=NOT_TEXT)  # fmt: skip


def transport():
    def typed(word, *types):
        return send(
            document("openai", text(word)), headers=[("content-type", one) for one in types]
        )

    def packed(word):
        http = send(document("openai", text(word)))
        http.plain, http.body = http.body, gzip.compress(http.body)
        http.headers = [JSON, ("content-encoding", "gzip")]
        return http

    def wrapped(word, before=b"", after=b""):
        return post(before + send(document("openai", text(word))).body + after)

    def utf16(word):
        body = send(document("openai", text(word))).body.decode().encode("utf-16")
        return post(body, headers=[("content-type", "application/json; charset=utf-16")])

    refused = [
        ("UTF-16 body", utf16, NO_TYPE),
        ("content-type text/plain", lambda w: typed(w, "text/plain"), NO_TYPE),
        ("no content-type", lambda w: typed(w), NO_TYPE),
        ("BOM before JSON", lambda w: wrapped(w, before=b"\xef\xbb\xbf"), NOT_JSON),
        ("trailing bytes", lambda w: wrapped(w, after=b" {}"), NOT_JSON),
    ]
    for name, make, reason in refused:
        yield Case(f"peers in: {name}", "openai", make, expect=REFUSE, reason=reason)
    yield in_field("gzip body", packed)
    yield in_field(
        "chunked, one byte a chunk",
        lambda w: send(document("openai", text(w)), framing=by_chunks(1)),
    )


def routes():
    paths = [
        ("path //", "//v1/chat/completions"), ("path %-encoded letter", "/v1/%63hat/completions"),
        ("path /./", "/v1/./chat/completions"), ("path /x/../", "/v1/x/../chat/completions"),
        ("path trailing slash", "/v1/chat/completions/"), ("path upper case", "/V1/CHAT/COMPLETIONS"),
    ]  # fmt: skip
    for name, path in paths:
        yield Case(f"peers in: {name}", "openai", lambda w, path=path: send(
            document("openai", text(w)), target=path), expect=REFUSE, reason=SPELLING)  # fmt: skip
    yield in_field(
        "path with ?query",
        lambda w: send(document("openai", text(w)), target="/v1/chat/completions?a=b"),
    )
    yield Case("peers in: method PUT", "openai", lambda w: send(document("openai", text(w)), method="PUT"),
               expect=REFUSE, reason="the endpoint takes POST")  # fmt: skip
    unknown = [
        ("completions prompt", "/v1/completions", lambda w: {"model": "m", "prompt": text(w)}),
        (
            "completions prompt list",
            "/v1/completions",
            lambda w: {"model": "m", "prompt": [text(w)]},
        ),
        (
            "completions suffix",
            "/v1/completions",
            lambda w: {"model": "m", "prompt": "a", "suffix": text(w)},
        ),
        ("responses input", "/v1/responses", lambda w: {"model": "m", "input": text(w)}),
        (
            "responses instructions",
            "/v1/responses",
            lambda w: {"model": "m", "input": "a", "instructions": text(w)},
        ),
    ]
    more = [
        ("embeddings", "/v1/embeddings", lambda w: {"model": "m", "input": text(w)}),
        ("images", "/v1/images/generations", lambda w: {"model": "m", "prompt": text(w)}),
        ("speech", "/v1/audio/speech", lambda w: {"model": "m", "input": text(w), "voice": "a"}),
    ]
    last = [
        ("assistants", "/v1/assistants", lambda w: {"model": "m", "instructions": text(w)}),
        ("threads", "/v1/threads", lambda w: {"messages": [{"role": "user", "content": text(w)}]}),
        ("unknown", "/v1/zzz", lambda w: {"prompt": text(w)}),
    ]

    def endpoint(name, path, make):
        return Case(
            f"peers in: endpoint {name}",
            "openai",
            lambda w: send(make(w), target=path),
            expect=REFUSE,
            reason=UNKNOWN_PATH,
        )

    def batch(word):
        line = send(document("openai", text(word))).body
        parts = (
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="b.jsonl"\r\n\r\n'
            + line
            + b"\r\n--x--\r\n"
        )
        return post(
            parts, target="/v1/files", headers=[("content-type", "multipart/form-data; boundary=x")]
        )

    yield from (endpoint(*one) for one in unknown)
    yield Case("peers in: endpoint messages", "anthropic", lambda w: ask("anthropic", text(w)))
    yield Case(
        "peers in: endpoint messages system",
        "anthropic",
        lambda w: ask("anthropic", system=text(w)),
    )
    yield from (endpoint(*one) for one in more)
    yield Case("peers in: endpoint moderations", "openai", lambda w: send(
        {"input": text(w)}, target="/v1/moderations"), expect=LOCAL)  # fmt: skip
    yield Case("peers in: endpoint files", "openai", batch, expect=REFUSE, reason=UNKNOWN_PATH)
    yield from (endpoint(*one) for one in last)


def answers():
    def say(word):
        return f"Take {SENTENCE.format(word)} {TAIL}"

    def out(name, make, streamed=False, **top):
        asked = lambda _: ask("openai", **({"stream": True} if streamed else {}), **top)  # noqa: E731
        return Case(f"peers out: {name}", "openai", asked, make)

    def tool(word):
        return [
            {
                "index": 0,
                "id": "c1",
                "type": "function",
                "function": {"name": "f", "arguments": '{"a": "%s"}' % say(word)},
            }
        ]

    def tokens(word):
        return {
            "logprobs": {
                "content": [
                    {"token": one, "logprob": -1.0, "top_logprobs": []}
                    for one in ("a ", word[:2], word[2:], TAIL)
                ]
            }
        }

    def second(word):
        made = chat({"content": "Bread."})
        return chat({"content": "Bread."}, choices=[
            {"index": 0, "message": {"role": "assistant", "content": "Bread."}, "finish_reason": "stop"},
            {"index": 1, "message": {"role": "assistant", "content": say(word)}, "finish_reason": "stop"},
        ]) if made else made  # fmt: skip

    def encoded(word, name, pack):
        answer = chat({"content": say(word)})
        answer.plain = answer.frames[0]
        answer.frames = [pack(answer.plain)]
        answer.headers = [*answer.headers, ("content-encoding", name)]
        return answer

    yield out("plain", lambda w: chat({"content": say(w)}))
    yield out("second choice", second, n=2)
    yield out("refusal", lambda w: chat({"refusal": say(w)}))
    yield out(
        "reasoning_content", lambda w: chat({"content": "Bread.", "reasoning_content": say(w)})
    )
    yield out("tool", lambda w: chat({"tool_calls": tool(w)}, "tool_calls"))
    yield out(
        "function_call", lambda w: chat({"function_call": tool(w)[0]["function"]}, "function_call")
    )
    yield out("logprobs", lambda w: chat({"content": "Bread."}, choice=tokens(w)))
    yield out("br-encoded", lambda w: encoded(w, "br", brotli))
    yield out("gzip-encoded", lambda w: encoded(w, "gzip", gzip.compress))

    split = lambda w: ["Take ", w[:2], w[2:], " and then ", TAIL]  # noqa: E731
    texts = lambda w: [{"content": piece} for piece in split(w)]  # noqa: E731

    def tool_pieces(word):
        pieces = ['{"a": "', *split(word), '"}']
        head = {
            "index": 0,
            "id": "c1",
            "type": "function",
            "function": {"name": "f", "arguments": ""},
        }
        return [{"tool_calls": [head]}] + [
            {"tool_calls": [{"index": 0, "function": {"arguments": p}}]} for p in pieces
        ]

    def second_stream(word):
        events = [chunk({"role": "assistant", "content": "Bread"})]
        events += [chunk({"content": piece}, index=1) for piece in split(word)]
        return stream([*events, chunk({}, "stop"), chunk({}, "stop", index=1), DONE])

    def cut(word, into):
        answer = chat_stream(texts(word))
        answer.frames = into(b"".join(answer.frames))
        return answer

    def with_usage(word):
        events = list(chat_events(texts(word)))
        usage = chunk({}).replace(
            b'"choices": [{"index": 0, "delta": {}, "finish_reason": null}]',
            b'"choices": [], "usage": {"total_tokens": 3}',
        )
        return stream([*events[:-1], usage, DONE])

    def commented(word):
        return stream(b": hello\nid: 7\nretry: 10\n" + event for event in chat_events(texts(word)))

    yield out("stream plain", lambda w: chat_stream([{"content": say(w)}, {"content": TAIL}]), True)
    yield out("stream split over deltas", lambda w: chat_stream(texts(w)), True)
    yield out(
        "stream split, long after",
        lambda w: chat_stream(texts(w) + [{"content": "more "}] * 300),
        True,
    )
    yield out("stream split, slow", lambda w: slow(chat_stream(texts(w))), True)
    yield out("stream second choice", second_stream, True, n=2)
    yield out("stream refusal", lambda w: chat_stream([{"refusal": p} for p in split(w)]), True)
    yield out(
        "stream reasoning_content",
        lambda w: chat_stream([{"reasoning_content": p} for p in split(w)]),
        True,
    )
    yield out("stream tool", lambda w: chat_stream(tool_pieces(w)), True)
    yield out("stream function_call", lambda w: chat_stream(
        [{"function_call": {"name": "f", "arguments": ""}}]
        + [{"function_call": {"arguments": p}} for p in ['{"a": "', *split(w), '"}']]), True)  # fmt: skip
    yield out("stream logprobs", lambda w: stream(
        [chunk({"content": "x"}, choice={"logprobs": {"content": [{"token": p, "logprob": -1.0}]}}) for p in split(w)]
        + [chunk({}, "stop"), DONE]), True)  # fmt: skip
    yield out(
        "stream framing, one byte a frame",
        lambda w: cut(w, lambda raw: [raw[i : i + 1] for i in range(len(raw))]),
        True,
    )
    yield out("stream framing, comments", commented, True)
    yield out("stream with include_usage", with_usage, True, stream_options={"include_usage": True})


def slow(answer):
    answer.pause = 0.15
    return answer


def every():
    for group in (fields, writing, transport, routes, answers):
        yield from group()
