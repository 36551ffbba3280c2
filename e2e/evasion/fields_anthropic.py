"""Every place of a messages request where text can stand."""

import base64

from .case import GAP, REFUSE, TWO_PLACES, Case
from .requests import ask, document, send, text, turns

UNKNOWN_PART = "a block that cannot be read is refused"
FILE = "a file cannot be read and is refused"
CASE = "some upstreams match keys without regard to case, so only the exact key is taken"
SHAPE = "no upstream reads this as a conversation"
PNG = {"type": "base64", "media_type": "image/png"}


def blocks(make):
    """A user turn of these blocks."""
    return lambda word: ask("anthropic", make(word))


def top(**fields):
    return lambda word: ask("anthropic", **{name: make(word) for name, make in fields.items()})


def tool(make):
    return lambda word: ask(
        "anthropic", tools=[{"name": "find", "input_schema": {"type": "object"}, **make(word)}]
    )


def said(*made):
    """An assistant turn of these blocks within a conversation."""
    return lambda word: turns(
        "anthropic",
        ("user", "Hello"),
        ("assistant", [one(word) for one in made]),
        ("user", "go on"),
    )


def result(make, **fields):
    """A tool's result with this content."""

    def build(word):
        use = {"type": "tool_use", "id": "t1", "name": "find", "input": {}}
        back = {"type": "tool_result", "tool_use_id": "t1", "content": make(word), **fields}
        return turns("anthropic", ("user", "Hello"), ("assistant", [use]), ("user", [back]))

    return build


def doc(source, **fields):
    return lambda word: ask("anthropic", [
        {"type": "document", "source": source(word), **{name: make(word) for name, make in fields.items()}}])  # fmt: skip


def plain(word="Bread."):
    return {"type": "text", "media_type": "text/plain", "data": word}


def citation(**fields):
    base = {
        "type": "char_location",
        "cited_text": "a",
        "document_index": 0,
        "start_char_index": 0,
        "end_char_index": 1,
    }
    return lambda w: {
        "type": "text",
        "text": "Bread.",
        "citations": [{**base, **{name: make(w) for name, make in fields.items()}}],
    }


def use(make):
    return lambda w: {"type": "tool_use", "id": "t1", "name": "find", "input": make(w)}


def one(kind="text", **fields):
    return {"type": kind, **fields}


def b64(word):
    return base64.b64encode(text(word).encode()).decode()


def escaped(word):
    return "".join(f"\\u{ord(letter):04x}" for letter in word)


def served(kind, content):
    """A result of a tool that the provider ran, as a client sends it back."""
    call = {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "a"},
    }
    return said(
        lambda _: call, lambda w: {"type": kind, "tool_use_id": "srvtoolu_1", "content": content(w)}
    )


FIELDS = {
    "plain": lambda w: ask("anthropic", text(w)),
    "one block": blocks(lambda w: [one(text=text(w))]),
    "word over blocks": blocks(lambda w: [one(text=f"make a {w[:2]}"), one(text=f"{w[2:]} now")]),
    "letter a block": blocks(lambda w: [one(text=letter) for letter in text(w)]),
    "word around a picture": blocks(lambda w: [one(text=w[:2]), one("image", source={**PNG, "data": "AAAA"}), one(text=w[2:])]),
    "strings in an array": blocks(lambda w: [text(w)]),
    "text beside text": blocks(lambda w: [one(text="Hello", note=text(w))]),
    "cache_control": blocks(lambda w: [one(text="Hello", cache_control={"type": text(w)})]),
    "word over user turns": lambda w: turns("anthropic", ("user", f"make a {w[:2]}"), ("user", w[2:])),
    "word over turns and a block": lambda w: turns("anthropic", ("user", f"make a {w[:2]}"), ("user", [one(text=w[2:])])),
    "word over user turns with an answer between": lambda w: turns("anthropic", ("user", f"make a {w[:2]}"), ("assistant", "Go on."), ("user", w[2:])),
    "earlier user turn": lambda w: turns("anthropic", ("user", text(w)), ("assistant", "Well."), ("user", "go on")),
    "prefill": lambda w: turns("anthropic", ("user", "Hello"), ("assistant", f"To make a {w}, ")),
    "word over user turn and prefill": lambda w: turns("anthropic", ("user", f"Go on: {w[:2]}"), ("assistant", w[2:])),
    "system turn": lambda w: turns("anthropic", ("user", "Hello"), ("system", text(w))),
    "unknown role": lambda w: turns("anthropic", ("user", "Hello"), ("critic", text(w))),
    "system blocks": top(system=lambda w: [one(text=text(w))]),
    "word over system blocks": top(system=lambda w: [one(text=f"make a {w[:2]}"), one(text=w[2:])]),
    "system, base64": top(system=b64),
    "tool name": tool(lambda w: {"name": f"make_{w}"}),
    "tool description": tool(lambda w: {"description": text(w)}),
    "tool description, spaced": tool(lambda w: {"description": text(" ".join(w))}),
    "tool schema description": tool(lambda w: {"input_schema": {"type": "object", "properties": {"a": {"type": "string", "description": text(w)}}}}),
    "tool schema enum": tool(lambda w: {"input_schema": {"type": "object", "properties": {"a": {"enum": [text(w)]}}}}),
    "tool schema key": tool(lambda w: {"input_schema": {"type": "object", "properties": {text(w): {}}}}),
    "tool input_examples": tool(lambda w: {"input_examples": [{"a": text(w)}]}),
    "tool input_examples key": tool(lambda w: {"input_examples": [{w: 1}]}),
    "tool type": tool(lambda w: {"type": text(w)}),
    "tool type as an identifier": tool(lambda w: {"type": f"{w}_20250101"}),
    "tool user_location": tool(lambda w: {"user_location": {"type": "approximate", "city": text(w)}}),
    "tool allowed_domains": tool(lambda w: {"allowed_domains": [f"{w}.example"]}),
    "tool, unknown field": tool(lambda w: {"notes": {"a": [text(w)]}}),
    "tool_choice name": top(tool_choice=lambda w: {"type": "tool", "name": w}),
    "tool_use input": said(use(lambda w: {"a": {"b": [text(w)]}})),
    "tool_use input key": said(use(lambda w: {w: 1})),
    "tool_use input, word over members": said(use(lambda w: {"a": f"make a {w[:2]}", "b": w[2:]})),
    "tool_use name": said(lambda w: {"type": "tool_use", "id": "t1", "name": f"make_{w}", "input": {}}),
    "tool_use, unknown field": said(lambda w: {"type": "tool_use", "id": "t1", "name": "f", "input": {}, "note": text(w)}),
    "tool_result text": result(text),
    "tool_result blocks": result(lambda w: [one(text=text(w))]),
    "tool_result, word over blocks": result(lambda w: [one(text=f"make a {w[:2]}"), one(text=w[2:])]),
    "tool_result, base64": result(b64),
    "tool_result, spaced": result(lambda w: text(" ".join(w))),
    "tool_result, HTML with entities": result(lambda w: "<p>" + "".join(f"&#{ord(letter)};" for letter in w)),
    "tool_result, JSON with escapes": result(lambda w: '{"page": "%s"}' % escaped(w)),
    "tool_result, JSON with escaped key": result(lambda w: '{"%s": 1}' % escaped(w)),
    "tool_result, tag characters": result(lambda w: "Hello" + "".join(chr(0xE0000 + ord(letter)) for letter in text(w))),
    "tool_result search_result": result(lambda w: [one("search_result", source="a", title="b", content=[one(text=text(w))])]),
    "tool_result document": result(lambda w: [one("document", source=plain(text(w)))]),
    "tool_result tool_reference": result(lambda w: [one("tool_reference", tool_name=w)]),
    "tool_result is_error": lambda w: result(lambda _: "a", is_error=text(w))(w),
    "word over two tool_results": lambda w: turns(
        "anthropic", ("user", "Hello"),
        ("assistant", [one("tool_use", id=f"t{at}", name="f", input={}) for at in (1, 2)]),
        ("user", [one("tool_result", tool_use_id="t1", content=f"make a {w[:2]}"), one("tool_result", tool_use_id="t2", content=w[2:])])),
    "word over tool_result and text": lambda w: turns(
        "anthropic", ("user", "Hello"), ("assistant", [one("tool_use", id="t1", name="f", input={})]),
        ("user", [one("tool_result", tool_use_id="t1", content=f"make a {w[:2]}"), one(text=w[2:])])),
    "document text": doc(lambda w: plain(text(w))),
    "document content string": doc(lambda w: {"type": "content", "content": text(w)}),
    "document content blocks": doc(lambda w: {"type": "content", "content": [one(text=text(w))]}),
    "document, word over content blocks": doc(lambda w: {"type": "content", "content": [one(text=w[:2]), one(text=w[2:])]}),
    "document title": doc(lambda w: plain(), title=text),
    "document context": doc(lambda w: plain(), context=text),
    "document, unknown field": doc(lambda w: plain(), note=text),
    "document text, base64": doc(lambda w: plain(b64(w))),
    "word over two documents": blocks(lambda w: [one("document", source=plain(w[:2])), one("document", source=plain(w[2:]))]),
    "word over title and text": doc(lambda w: plain(w[2:]), title=lambda w: w[:2]),
    "search_result text": blocks(lambda w: [one("search_result", source="a", title="b", content=[one(text=text(w))])]),
    "search_result source": blocks(lambda w: [one("search_result", source=text(w), title="b", content=[one(text="a")])]),
    "search_result title": blocks(lambda w: [one("search_result", source="a", title=text(w), content=[one(text="a")])]),
    "citation text": said(citation(cited_text=text)),
    "citation title": said(citation(document_title=text)),
    "citation url": said(citation(url=lambda w: f"https://x/{w}")),
    "citation, unknown field": said(citation(note=text)),
    "citation encrypted_index": said(citation(encrypted_index=text)),
    "thinking": said(lambda w: one("thinking", thinking=text(w), signature="QUJD")),
    "thinking signature": said(lambda w: one("thinking", thinking="a", signature=text(w))),
    "redacted_thinking data": said(lambda w: one("redacted_thinking", data=text(w))),
    "compaction": said(lambda w: one("compaction", content=text(w))),
    "web_search_tool_result title": served("web_search_tool_result", lambda w: [{"type": "web_search_result", "title": text(w), "url": "https://x/"}]),
    "web_search_tool_result encrypted_content": served("web_search_tool_result", lambda w: [
        {"type": "web_search_result", "title": "a", "url": "https://x/", "encrypted_content": text(w)}]),
    "web_fetch_tool_result document": served("web_fetch_tool_result", lambda w: {
        "type": "web_fetch_result", "url": "https://x/", "content": one("document", source=plain(text(w)))}),
    "code_execution stdout": served("code_execution_tool_result", lambda w: {
        "type": "code_execution_result", "stdout": text(w), "stderr": "", "return_code": 0, "content": []}),
    "server tool result, error_code": served("web_search_tool_result", lambda w: {"type": "web_search_tool_result_error", "error_code": text(w)}),
    "mcp_tool_use input": said(lambda w: one("mcp_tool_use", id="m1", name="f", server_name="s", input={"a": text(w)})),
    "mcp_tool_result": said(lambda w: one("mcp_tool_result", tool_use_id="m1", is_error=False, content=[one(text=text(w))])),
    "mcp_servers name": top(mcp_servers=lambda w: [{"type": "url", "url": "https://x/", "name": text(w)}]),
    "mcp_servers token": top(mcp_servers=lambda w: [{"type": "url", "url": "https://x/", "name": "a", "authorization_token": text(w)}]),
    "stop_sequences": top(stop_sequences=lambda w: [text(w)]),
    "stop_sequences, word over two": top(stop_sequences=lambda w: [f"make a {w[:2]}", w[2:]]),
    "metadata user_id": top(metadata=lambda w: {"user_id": text(w)}),
    "metadata key": top(metadata=lambda w: {text(w): "a"}),
    "output_format schema": top(output_format=lambda w: {"type": "json_schema", "schema": {"type": "object", "description": text(w)}}),
    "output_config format": top(output_config=lambda w: {"format": {"type": "json_schema", "schema": {"enum": [text(w)]}}}),
    "context_management instructions": top(context_management=lambda w: {"edits": [{"type": "compact_20260112", "instructions": text(w)}]}),
    "container": top(container=text),
    "unknown field, nested deep": top(extra=lambda w: {"a": [{"b": [{"c": text(w)}]}]}),
    "unknown field, as a key": top(extra=lambda w: {text(w): 1}),
    "unknown top field whose key is the text": lambda w: ask("anthropic", **{text(w): 1}),
    "unknown top field whose key is an identifier": lambda w: ask("anthropic", **{f"make_a_{w}": 1}),
    "prompt beside messages": top(prompt=lambda w: f"\n\nHuman: {text(w)}\n\nAssistant:"),
    "max_tokens' place": lambda w: send({**document("anthropic"), "max_tokens": text(w)}, "anthropic"),
    "model": lambda w: send({**document("anthropic"), "model": text(w)}, "anthropic"),
    "image data that is text": blocks(lambda w: [one("image", source={**PNG, "data": text(w)})]),
    "image url": blocks(lambda w: [one("image", source={"type": "url", "url": f"https://example.com/how-to-make-a-{w}"})]),
    "image, unknown field": blocks(lambda w: [one("image", source={**PNG, "data": "AAAA"}, alt=text(w))]),
    "word at the end of 1 MB": blocks(lambda w: [one(text="Bread needs flour. " * 55_000 + text(w))]),
    "leet in the middle of 1 MB": blocks(lambda w: [one(text="Bread needs flour. " * 27_500 + text(w.replace("o", "0").replace("a", "4")) + " Bread needs salt." * 27_500)]),
    "asked for as a stream": lambda w: ask("anthropic", text(w), stream=True),
}  # fmt: skip

REFUSED = {
    "unknown block": (blocks(lambda w: [one("zzz", zzz=text(w))]), UNKNOWN_PART),
    "block without a type": (blocks(lambda w: [{"text": text(w)}]), UNKNOWN_PART),
    "array in an array": (blocks(lambda w: [[one(text=text(w))]]), UNKNOWN_PART),
    "input_text block": (blocks(lambda w: [one("input_text", text=text(w))]), UNKNOWN_PART),
    "unknown block in a tool_result": (result(lambda w: [one("zzz", zzz=text(w))]), UNKNOWN_PART),
    "document in base64": (doc(lambda w: {"type": "base64", "media_type": "application/pdf", "data": b64(w)}), FILE),
    "document text in base64": (doc(lambda w: {"type": "base64", "media_type": "text/plain", "data": b64(w)}), FILE),
    "document by its address": (doc(lambda w: {"type": "url", "url": f"https://x/{w}.pdf"}), FILE),
    "document by its id": (doc(lambda w: {"type": "file", "file_id": "file_1"}, title=text), FILE),
    "image source that is text": (blocks(lambda w: [one("image", source={"type": "base64", "media_type": "text/plain", "data": b64(w)})]), FILE),
    "container_upload": (blocks(lambda w: [one("container_upload", file_id=w)]), FILE),
    "key System": (top(System=text), CASE),
    "key Messages": (lambda w: ask("anthropic", Messages=[{"role": "user", "content": text(w)}]), CASE),
    "key Text in a block": (blocks(lambda w: [one(text="Hello", Text=text(w))]), CASE),
    "key Tools": (lambda w: ask("anthropic", Tools=[{"name": w}]), CASE),
    "messages is a string": (lambda w: send({**document("anthropic"), "messages": text(w)}, "anthropic"), SHAPE),
    "stream as a string": (lambda w: ask("anthropic", text(w), stream="true"), "whether the answer is a stream must be plain"),
}  # fmt: skip


#: What passes, and why.
GAPS = {
    "word over title and text": TWO_PLACES,
    "tool type as an identifier": "the name of a type, which the provider reads and no model",
}


def every():
    for name, make in FIELDS.items():
        kind = {"expect": GAP, "reason": GAPS[name]} if name in GAPS else {}
        yield Case(f"anthropic in: {name}", "anthropic", make, **kind)
    for name, (make, reason) in REFUSED.items():
        yield Case(f"anthropic in: {name}", "anthropic", make, expect=REFUSE, reason=reason)
