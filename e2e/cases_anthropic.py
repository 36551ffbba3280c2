"""What an application sees through the `anthropic` package. Nothing of the package is replaced."""

import anthropic
from checks import equal, expect, headers_say, hides, raises
from gate import BODY_LIMIT, CARD, CLAUSE, SECRET
from upstream import NORMAL

KEY = "sk-ant-e2e"
ANSWER = "".join(NORMAL)
PLAIN = [{"role": "user", "content": "How do I bake bread? xylophone"}]
BAD = {"role": "user", "content": f"Tell me about {SECRET} please"}


def client(world):
    return anthropic.Anthropic(api_key=KEY, base_url=world.gate.url, max_retries=0, timeout=20)


def create(world, model="normal", messages=PLAIN, **more):
    create_raw = client(world).messages.with_raw_response.create
    more.setdefault("system", "You are a baker.")
    return create_raw(model=model, messages=messages, max_tokens=64, **more)


def stream(world, model="normal", messages=PLAIN):
    """The final message of a stream and its headers, through the helper."""
    helper = client(world).messages.stream
    with helper(model=model, messages=messages, max_tokens=64) as events:
        text = "".join(events.text_stream)
        return events.response.headers, text, events.get_final_message()


def normal_passes_byte_for_byte(world):
    unknown = {"x_unknown": {"keep": [1, 2.50, "caf\u00e9"]}}
    raw, seen = world.forwarded(lambda: create(world, extra_body=unknown))
    headers_say(raw.headers, "allow", "full", world)
    expect(raw.headers.get("request-id"), "request-id is missing")
    equal(raw.parse().content[0].text, ANSWER, "text")
    equal(raw.http_response.content, seen[0].sent, "bytes of the answer")
    equal(seen[0].body, raw.http_request.content, "bytes that the upstream got")
    equal(seen[0].headers.get("authorization"), f"Bearer {KEY}", "credential")
    hides(" ".join(seen[0].headers), "x-portcullis")


def stream_passes_byte_for_byte(world):
    streaming = client(world).messages.with_streaming_response

    def read():
        more = {"model": "normal", "messages": PLAIN, "max_tokens": 64, "stream": True}
        with streaming.create(**more) as answer:
            return answer.headers, b"".join(answer.iter_bytes())

    (headers, body), seen = world.forwarded(read)
    headers_say(headers, "allow", "pending", world)
    equal(body, seen[0].sent, "bytes of the stream")


def stream_helper_gives_the_final_message(world):
    _, text, final = stream(world)
    equal(text, ANSWER, "text")
    equal(final.content[0].text, ANSWER, "text of the final message")
    equal(final.stop_reason, "end_turn", "stop_reason")


def is_refusal(message):
    equal(message.stop_reason, "refusal", "stop_reason")
    expect(message.stop_details, "stop_details is missing")
    explanation = message.stop_details.explanation or ""
    expect(CLAUSE in explanation, f"no clause in {explanation!r}")
    hides(message.to_json(), "nightfall")


def refused_prompt_is_a_refusal(world):
    raw, seen = world.forwarded(lambda: create(world, messages=[BAD]))
    headers_say(raw.headers, "block", "full", world)
    equal(raw.headers.get("x-should-retry"), "false", "x-should-retry")
    equal(seen, [], "requests that reached the upstream")
    is_refusal(raw.parse())


def refused_prompt_of_a_stream_is_a_refusal(world):
    (headers, _, final), seen = world.forwarded(lambda: stream(world, messages=[BAD]))
    headers_say(headers, "block", headers.get("x-portcullis-coverage"), world)
    equal(seen, [], "requests that reached the upstream")
    is_refusal(final)


def refused_answer_is_a_refusal(world):
    raw = create(world, model="harmful")
    headers_say(raw.headers, "block", "full", world)
    hides(raw.http_response.text, "nightfall", "starts at dawn")
    is_refusal(raw.parse())


def refused_mid_stream_ends_the_stream(world):
    (headers, text, final), seen = world.forwarded(lambda: stream(world, model="harmful"))
    headers_say(headers, "allow", "pending", world)
    hides(text, "nightfall", "project ni", "starts at dawn", "Line 0")
    is_refusal(final)
    expect(seen[0].ended.wait(2), "the upstream still sends: it was not cancelled")
    expect(seen[0].cancelled, "the upstream was read to its end")


def conversation_goes_on_after_a_refused_prompt(world):
    messages = [*PLAIN]
    messages.append(turn(create(world, messages=messages).parse()))
    messages.append(BAD)
    messages.append(turn(create(world, messages=messages).parse()))
    messages.append({"role": "user", "content": "And how do I bake rolls?"})
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(raw.parse().content[0].text, ANSWER, "text")
    hides(seen[0].body.decode(), "nightfall", CLAUSE)
    kept = [message["role"] for message in seen[0].json["messages"]]
    equal(kept, ["user", "assistant", "user"], "turns that the upstream got")


def conversation_goes_on_after_a_refused_answer(world):
    messages = [*PLAIN]
    _, _, final = stream(world, model="harmful", messages=messages)
    messages.append(turn(final))
    messages.append({"role": "user", "content": "And how do I bake rolls?"})
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(raw.parse().content[0].text, ANSWER, "text")
    hides(seen[0].body.decode(), CLAUSE)


def turn(message):
    """An answer as an application sends it back."""
    return {"role": "assistant", "content": message.content}


def reset_is_answered_here_and_kept_to(world):
    messages = [*PLAIN, {"role": "assistant", "content": "Earlier words."}]
    messages.append({"role": "user", "content": "/reset-ai"})
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(seen, [], "requests that reached the upstream")
    reply = raw.parse()
    expect("no longer used" in reply.content[0].text, f"reply: {reply.content}")
    messages += [turn(reply), {"role": "user", "content": "Start afresh, please."}]
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(raw.parse().content[0].text, ANSWER, "text")
    equal(seen[0].json["system"], "You are a baker.", "system")
    kept = [message["content"] for message in seen[0].json["messages"]]
    equal(kept, ["Start afresh, please."], "turns that the upstream got")


def card_numbers_are_redacted_both_ways(world):
    messages = [{"role": "user", "content": f"My card is {CARD}, what now?"}]
    raw, seen = world.forwarded(lambda: create(world, model="card", messages=messages))
    headers_say(raw.headers, "redact", "full", world)
    equal(raw.parse().content[0].text, "Your card is [redacted], as you asked.", "answer")
    content = seen[0].json["messages"][0]["content"]
    equal(content, "My card is [redacted], what now?", "prompt")


def card_numbers_are_redacted_in_streams(world):
    _, text, final = stream(world, model="card")
    equal(text, "Your card is [redacted], as you asked.", "answer")
    equal(final.stop_reason, "end_turn", "stop_reason")


def tools_work_there_and_back(world):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [{"name": "weather", "description": "The weather.", "input_schema": schema}]
    _, _, final = stream(world, model="tool")
    equal(final.content[0].input, {"city": "Vienna"}, "input of the stream")
    reply = create(world, model="tool", tools=tools).parse()
    equal(reply.content[0].input, {"city": "Vienna"}, "input")

    def with_result(text):
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": text}
        messages = [*PLAIN, turn(reply), {"role": "user", "content": [result]}]
        return world.forwarded(lambda: create(world, messages=messages, tools=tools))

    raw, seen = with_result("Sunny, 21 degrees.")
    equal(raw.parse().content[0].text, ANSWER, "text")
    equal(seen[0].body, raw.http_request.content, "bytes that the upstream got")
    raw, seen = with_result(f"Sunny. Also: {SECRET}.")
    equal(raw.parse().stop_reason, "refusal", "stop_reason")
    equal(seen, [], "requests that reached the upstream")


def oversized_body_is_413(world):
    messages = [{"role": "user", "content": "flour " * (BODY_LIMIT // 4)}]
    error = raises(anthropic.APIStatusError, lambda: create(world, messages=messages), 413)
    equal(error.body["type"], "error", "shape")


def busy_upstream_keeps_its_headers(world):
    error = raises(anthropic.RateLimitError, lambda: create(world, model="busy"), 429)
    equal(error.response.headers.get("retry-after"), "7", "retry-after")


def cut_stream_is_never_a_clean_end(world):
    try:
        _, text, final = stream(world, model="cut")
    except Exception:
        return
    raise AssertionError(f"a cut stream ended as if whole: {final.stop_reason}, {text!r}")


def upstream_down(world):
    """Runs last: stops the upstream, if the OpenAI case has not."""
    world.upstream.stop()
    error = raises(anthropic.InternalServerError, lambda: create(world), 502)
    equal(error.body["type"], "error", "shape")
    expect(error.response.headers.get("request-id"), "request-id is missing")


CASES = [
    normal_passes_byte_for_byte,
    stream_passes_byte_for_byte,
    stream_helper_gives_the_final_message,
    refused_prompt_is_a_refusal,
    refused_prompt_of_a_stream_is_a_refusal,
    refused_answer_is_a_refusal,
    refused_mid_stream_ends_the_stream,
    conversation_goes_on_after_a_refused_prompt,
    conversation_goes_on_after_a_refused_answer,
    reset_is_answered_here_and_kept_to,
    card_numbers_are_redacted_both_ways,
    card_numbers_are_redacted_in_streams,
    tools_work_there_and_back,
    oversized_body_is_413,
    busy_upstream_keeps_its_headers,
    cut_stream_is_never_a_clean_end,
]
