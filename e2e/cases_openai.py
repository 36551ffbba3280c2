"""What an application sees through the `openai` package. Nothing of the package is replaced."""

import openai
from checks import equal, expect, headers_say, hides, raises
from gate import BODY_LIMIT, CARD, CLAUSE, SECRET
from upstream import NORMAL

KEY = "sk-e2e"
ANSWER = "".join(NORMAL)
PLAIN = [
    {"role": "system", "content": "You are a baker."},
    {"role": "user", "content": "How do I bake bread? xylophone"},
]
BAD = [{"role": "user", "content": f"Tell me about {SECRET} please"}]


def client(world):
    return openai.OpenAI(api_key=KEY, base_url=world.gate.url + "/v1", max_retries=0, timeout=20)


def create(world, model="normal", messages=PLAIN, **more):
    completions = client(world).chat.completions.with_raw_response
    return completions.create(model=model, messages=messages, **more)


def normal_passes_byte_for_byte(world):
    unknown = {"x_unknown": {"keep": [1, 2.50, "caf\u00e9"]}}
    raw, seen = world.forwarded(lambda: create(world, extra_body=unknown))
    headers_say(raw.headers, "allow", "full", world)
    expect(raw.headers.get("ai-disclosure"), "ai-disclosure is missing")
    equal(raw.parse().choices[0].message.content, ANSWER, "content")
    equal(raw.parse().x_vendor["cost"], 1.5, "unknown field of the answer")
    equal(raw.content, seen[0].sent, "bytes of the answer")
    equal(seen[0].body, raw.http_request.content, "bytes that the upstream got")
    expect("x_unknown" in seen[0].json, "the unknown field was lost")
    hides(" ".join(seen[0].headers), "x-portcullis")


def stream_passes_byte_for_byte(world):
    streaming = client(world).chat.completions.with_streaming_response

    def read():
        with streaming.create(model="normal", messages=PLAIN, stream=True) as answer:
            return answer.headers, b"".join(answer.iter_bytes())

    (headers, body), seen = world.forwarded(read)
    decision = headers_say(headers, "allow", "pending", world)
    equal(body, seen[0].sent, "bytes of the stream")
    receipt = world.gate.decision(decision, KEY)
    expect('"coverage"' in str(receipt).replace("'", '"'), f"no coverage in {receipt}")


def stream_is_read_by_the_sdk(world):
    options = {"include_usage": True}
    chunks = list(create(world, stream=True, stream_options=options).parse())
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    equal(text, ANSWER, "text")
    expect(chunks[-1].usage, "the usage chunk is missing")


def stream_helper_gives_the_final_completion(world):
    helper = client(world).chat.completions.stream
    with helper(model="normal", messages=PLAIN) as stream:
        final = stream.get_final_completion()
    equal(final.choices[0].message.content, ANSWER, "content")


def refused_prompt_is_a_refusal(world):
    raw, seen = world.forwarded(lambda: create(world, messages=BAD))
    headers_say(raw.headers, "block", "full", world)
    equal(raw.headers.get("x-should-retry"), "false", "x-should-retry")
    equal(seen, [], "requests that reached the upstream")
    choice = raw.parse().choices[0]
    equal(choice.finish_reason, "content_filter", "finish_reason")
    expect(CLAUSE in choice.message.refusal, f"no clause in {choice.message.refusal!r}")
    hides(choice.message.refusal, "nightfall")


def refused_prompt_of_a_stream_is_a_refusal(world):
    options = {"include_usage": True}
    raw, seen = world.forwarded(
        lambda: create(world, messages=BAD, stream=True, stream_options=options)
    )
    headers_say(raw.headers, "block", raw.headers.get("x-portcullis-coverage"), world)
    chunks = list(raw.parse())
    equal(seen, [], "requests that reached the upstream")
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    refusal = "".join(choice.delta.refusal or "" for choice in deltas)
    expect(CLAUSE in refusal, f"no clause in {refusal!r}")
    equal(deltas[-1].finish_reason, "content_filter", "finish_reason")
    expect(chunks[-1].usage is not None, "the usage chunk is missing")


def refused_prompt_through_the_stream_helper(world):
    """The helper gives the refusal as events, and by its own rule no final completion."""
    helper = client(world).chat.completions.stream
    with helper(model="normal", messages=BAD) as stream:
        refusal = "".join(event.delta for event in stream if event.type == "refusal.delta")
        raises(openai.ContentFilterFinishReasonError, stream.get_final_completion)
    expect(CLAUSE in refusal, f"no clause in {refusal!r}")


def refused_answer_is_a_refusal(world):
    raw = create(world, model="harmful")
    headers_say(raw.headers, "block", "full", world)
    hides(raw.text, "nightfall", "starts at dawn")
    choice = raw.parse().choices[0]
    equal(choice.finish_reason, "content_filter", "finish_reason")
    expect(CLAUSE in choice.message.refusal, f"no clause in {choice.message.refusal!r}")


def refused_mid_stream_ends_the_stream(world):
    def read():
        raw = create(world, model="harmful", stream=True)
        headers_say(raw.headers, "allow", "pending", world)
        return list(raw.parse())

    chunks, seen = world.forwarded(read)
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    text = "".join(choice.delta.content or "" for choice in deltas)
    hides(text, "nightfall", "project ni", "starts at dawn", "Line 0")
    refusal = "".join(choice.delta.refusal or "" for choice in deltas)
    expect(CLAUSE in refusal, f"no clause in {refusal!r}")
    equal(deltas[-1].finish_reason, "content_filter", "finish_reason")
    expect(seen[0].ended.wait(2), "the upstream still sends: it was not cancelled")
    expect(seen[0].cancelled, "the upstream was read to its end")


def conversation_goes_on_after_a_refused_prompt(world):
    messages = [*PLAIN]
    messages.append(create(world, messages=messages).parse().choices[0].message)
    messages.append(BAD[0])
    messages.append(create(world, messages=messages).parse().choices[0].message)
    equal(messages[-1].content or "", "", "content of a refusal")
    messages.append({"role": "user", "content": "And how do I bake rolls?"})
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(raw.parse().choices[0].message.content, ANSWER, "content")
    hides(seen[0].body.decode(), "nightfall", CLAUSE)
    kept = [message["role"] for message in seen[0].json["messages"]]
    equal(kept, ["system", "user", "assistant", "user"], "turns that the upstream got")


def conversation_goes_on_after_a_refused_answer(world):
    messages = [*PLAIN]
    chunks = create(world, model="harmful", messages=messages, stream=True).parse()
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    content = "".join(delta.content or "" for delta in deltas)
    refusal = "".join(delta.refusal or "" for delta in deltas)
    messages.append({"role": "assistant", "content": content, "refusal": refusal})
    messages.append({"role": "user", "content": "And how do I bake rolls?"})
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(raw.parse().choices[0].message.content, ANSWER, "content")
    hides(seen[0].body.decode(), CLAUSE)


def reset_is_answered_here_and_kept_to(world):
    messages = [*PLAIN]
    messages.append({"role": "assistant", "content": "Earlier words."})
    messages.append({"role": "user", "content": "/reset-ai"})
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(seen, [], "requests that reached the upstream")
    reply = raw.parse().choices[0].message
    expect("no longer used" in reply.content, f"reply: {reply.content!r}")
    hides(reply.content, "deleted")
    messages += [reply, {"role": "user", "content": "Start afresh, please."}]
    raw, seen = world.forwarded(lambda: create(world, messages=messages))
    equal(raw.parse().choices[0].message.content, ANSWER, "content")
    kept = [message["content"] for message in seen[0].json["messages"]]
    equal(kept, ["You are a baker.", "Start afresh, please."], "turns that the upstream got")


def card_numbers_are_redacted_both_ways(world):
    messages = [{"role": "user", "content": f"My card is {CARD}, what now?"}]
    raw, seen = world.forwarded(lambda: create(world, model="card", messages=messages))
    headers_say(raw.headers, "redact", "full", world)
    text = raw.parse().choices[0].message.content
    equal(text, "Your card is [redacted], as you asked.", "answer")
    content = seen[0].json["messages"][0]["content"]
    equal(content, "My card is [redacted], what now?", "prompt")


def card_numbers_are_redacted_in_streams(world):
    chunks = list(create(world, model="card", stream=True).parse())
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    equal(text, "Your card is [redacted], as you asked.", "answer")
    equal(chunks[-1].choices[0].finish_reason, "stop", "finish_reason")


def tools_work_there_and_back(world):
    tools = [{"type": "function", "function": {
        "name": "weather", "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }}]  # fmt: skip
    chunks = list(create(world, model="tool", tools=tools, stream=True).parse())
    calls = [c.choices[0].delta.tool_calls for c in chunks if c.choices]
    arguments = "".join(call[0].function.arguments or "" for call in calls if call)
    equal(arguments, '{"city": "Vienna"}', "arguments of the stream")
    reply = create(world, model="tool", tools=tools).parse().choices[0].message
    equal(reply.tool_calls[0].function.arguments, '{"city": "Vienna"}', "arguments")
    result = {"role": "tool", "tool_call_id": "call_1", "content": "Sunny, 21 degrees."}
    raw, seen = world.forwarded(lambda: create(world, messages=[*PLAIN, reply, result], tools=tools))
    equal(raw.parse().choices[0].message.content, ANSWER, "content")
    equal(seen[0].body, raw.http_request.content, "bytes that the upstream got")
    bad = {**result, "content": f"Sunny. Also: {SECRET}."}
    raw, seen = world.forwarded(lambda: create(world, messages=[*PLAIN, reply, bad], tools=tools))
    equal(raw.parse().choices[0].finish_reason, "content_filter", "finish_reason")
    equal(seen, [], "requests that reached the upstream")


def moderations_are_answered_here(world):
    answer, seen = world.forwarded(
        lambda: client(world).moderations.create(input="How do I bake bread?")
    )
    equal(answer.results[0].flagged, False, "flagged")
    expect(0 <= answer.results[0].category_scores.hate <= 1, "category_scores.hate")
    equal(seen, [], "requests that reached the upstream")


def models_are_listed(world):
    equal([model.id for model in client(world).models.list()], ["normal"], "models")


def oversized_body_is_413(world):
    messages = [{"role": "user", "content": "flour " * (BODY_LIMIT // 4)}]
    error = raises(openai.APIStatusError, lambda: create(world, messages=messages), 413)
    expect(error.body["message"], f"no message in {error.body}")


def unknown_part_type_is_400(world):
    messages = [{"role": "user", "content": [{"type": "hologram", "hologram": "x"}]}]
    error = raises(openai.BadRequestError, lambda: create(world, messages=messages), 400)
    expect("hologram" in str(error), f"the part type is not named: {error}")


def busy_upstream_keeps_its_headers(world):
    error = raises(openai.RateLimitError, lambda: create(world, model="busy"), 429)
    equal(error.response.headers.get("retry-after"), "7", "retry-after")


def cut_stream_is_never_a_clean_end(world):
    got = []

    def read():
        for chunk in create(world, model="cut", stream=True).parse():
            got.append(chunk)

    try:
        read()
    except Exception:
        return
    ends = [c.choices[0].finish_reason for c in got if c.choices]
    raise AssertionError(f"a cut stream ended as if whole, after {ends}")


def cut_answer_is_502(world):
    raises(openai.InternalServerError, lambda: create(world, model="cut"), 502)


def upstream_down(world):
    """Runs last: stops the upstream, for the Anthropic cases too."""
    world.upstream.stop()
    error = raises(openai.InternalServerError, lambda: create(world), 502)
    expect(error.body.get("message"), f"no message in {error.body}")
    expect(error.response.headers.get("x-request-id"), "x-request-id is missing")


CASES = [
    normal_passes_byte_for_byte,
    stream_passes_byte_for_byte,
    stream_is_read_by_the_sdk,
    stream_helper_gives_the_final_completion,
    refused_prompt_is_a_refusal,
    refused_prompt_of_a_stream_is_a_refusal,
    refused_prompt_through_the_stream_helper,
    refused_answer_is_a_refusal,
    refused_mid_stream_ends_the_stream,
    conversation_goes_on_after_a_refused_prompt,
    conversation_goes_on_after_a_refused_answer,
    reset_is_answered_here_and_kept_to,
    card_numbers_are_redacted_both_ways,
    card_numbers_are_redacted_in_streams,
    tools_work_there_and_back,
    moderations_are_answered_here,
    models_are_listed,
    oversized_body_is_413,
    unknown_part_type_is_400,
    busy_upstream_keeps_its_headers,
    cut_stream_is_never_a_clean_end,
    cut_answer_is_502,
]
