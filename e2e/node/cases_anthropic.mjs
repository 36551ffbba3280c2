// What an application sees through the npm package `@anthropic-ai/sdk`. Nothing of the package is
// replaced. Every exported function is a case.

import Anthropic from "@anthropic-ai/sdk";
import { block, event, message, stream } from "./shapes.mjs";
import * as world from "./world.mjs";
import { ANSWER, BAD, FORBIDDEN, PROMPT, REDACTED, Wire } from "./world.mjs";
import { collect, equal, expect, forwarded, hides, holds, plays, raises } from "./world.mjs";

const PLAIN = [{ role: "user", content: PROMPT }];
const REFUSED = [{ role: "user", content: BAD }];
const AGAIN = { role: "user", content: "And how do I bake rolls?" };
const SCHEMA = { type: "object", properties: { city: { type: "string" } } };
const WEATHER = { name: "weather", description: "The weather.", input_schema: SCHEMA };
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const SIGNATURE = "EqQBCgIYAhIkMGFiY2RlZg==";
const text = (text) => ({ type: "text", text });
const delta = (text) => ({ type: "text_delta", text });
const thought = (thinking) => ({ type: "thinking_delta", thinking });

/** A caller; `maxRetries` stays at the SDK's own, so that a retry after a refusal is seen. */
function caller(options = {}) {
  const wire = new Wire();
  const { key: apiKey, fetch } = wire;
  const sdk = new Anthropic({ apiKey, baseURL: world.gate, fetch, timeout: 10_000, ...options });
  const body = (model, messages, more) => ({ model, messages, max_tokens: 64, ...more });
  const create = (...given) => sdk.messages.create(body(...given));
  const helper = (...given) => sdk.messages.stream(body(...given));
  return { wire, sdk, create, helper };
}

/** An answer as an application sends it back. */
const turn = (answer) => ({ role: "assistant", content: answer.content });

function isRefusal(answer) {
  equal(answer.stop_reason, "refusal", "stop_reason");
  equal(answer.stop_details?.type, "refusal", "stop_details.type");
  holds(answer.stop_details.explanation, world.clause);
  hides(answer, ...FORBIDDEN);
}

export async function normal_passes() {
  const { wire, create } = caller();
  const more = { system: "You are a baker.", x_unknown: { keep: [1, 2.5, "café"] } };
  const [answer, seen] = await forwarded(() => create("normal", PLAIN, more));
  equal(answer.content, [text(ANSWER)], "content");
  equal(answer._request_id, wire.last.headers.get("request-id"), "request id");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
  wire.says("allow", "full");
  hides(Object.keys(seen[0].headers).join(" "), "x-portcullis");
}

export async function stream_is_read_in_events() {
  const { wire, create } = caller();
  const events = await collect(await create("normal", PLAIN, { stream: true }));
  const deltas = events.filter((one) => one.type === "content_block_delta");
  equal(
    deltas.map((one) => one.delta.text),
    world.normal,
    "chunks",
  );
  equal(events.at(-1).type, "message_stop", "last event");
  equal(events.at(-2).usage, { output_tokens: 9 }, "usage");
  wire.says("allow", "pending");
}

export async function stream_helper_gives_the_final_message() {
  const { helper } = caller();
  const pieces = [];
  const stream = helper("normal", PLAIN).on("text", (piece) => pieces.push(piece));
  const final = await stream.finalMessage();
  equal(pieces.join(""), ANSWER, "text");
  equal([final.content[0].text, final.stop_reason], [ANSWER, "end_turn"], "final message");
  equal(final.usage.output_tokens, 9, "usage");
}

export async function refused_prompt_is_a_refusal() {
  const { wire, create } = caller();
  const [answer, seen] = await forwarded(() => create("normal", REFUSED));
  equal(seen, [], "requests that reached the upstream");
  isRefusal(answer);
  holds(answer.content[0].text, world.clause);
  wire.says("block", "full");
  equal(wire.last.status, 200, "status");
}

export async function refused_prompt_of_a_stream_is_a_refusal() {
  const { wire, helper } = caller();
  const [final, seen] = await forwarded(() => helper("normal", REFUSED).finalMessage());
  equal(seen, [], "requests that reached the upstream");
  isRefusal(final);
  wire.says("block", "full");
}

export async function refused_answer_is_a_refusal() {
  const { wire, create } = caller();
  isRefusal(await create("harmful", PLAIN));
  wire.says("block", "full");
}

export async function refused_mid_stream_ends_the_stream() {
  const { wire, helper } = caller();
  const pieces = [];
  const stream = helper("harmful", PLAIN).on("text", (piece) => pieces.push(piece));
  const [final, seen] = await forwarded(() => stream.finalMessage());
  hides(pieces.join(""), ...FORBIDDEN);
  isRefusal(final);
  wire.says("allow", "pending");
  await world.isCancelled(seen[0]);
}

export async function conversation_goes_on_after_a_refused_prompt() {
  const { create } = caller();
  const messages = [...PLAIN];
  messages.push(turn(await create("normal", messages)), ...REFUSED);
  messages.push(turn(await create("normal", messages)), AGAIN);
  const [answer, seen] = await forwarded(() => create("normal", messages));
  equal(answer.content[0].text, ANSWER, "text");
  hides(seen[0].body, "nightfall", world.clause);
  const kept = seen[0].json.messages.map((one) => one.role);
  equal(kept, ["user", "assistant", "user"], "turns that the upstream got");
}

export async function conversation_goes_on_after_a_refused_stream() {
  const { create, helper } = caller();
  const final = await helper("harmful", PLAIN).finalMessage();
  isRefusal(final);
  const messages = [...PLAIN, turn(final), AGAIN];
  const [answer, seen] = await forwarded(() => create("normal", messages));
  equal(answer.content[0].text, ANSWER, "text");
  hides(seen[0].body, world.clause);
}

export async function conversation_goes_on_when_the_prompt_is_cached() {
  // Prompt caching moves its mark along: the same turn comes back without it.
  const { create } = caller();
  const marked = { ...text(BAD), cache_control: { type: "ephemeral" } };
  const first = [...PLAIN, { role: "assistant", content: "Take flour." }];
  const refusal = await create("normal", [...first, { role: "user", content: [marked] }]);
  isRefusal(refusal);
  const messages = [...first, { role: "user", content: [text(BAD)] }, turn(refusal), AGAIN];
  const [answer, seen] = await forwarded(() => create("normal", messages));
  equal(answer.content[0].text, ANSWER, "text");
  hides(seen[0].body, "nightfall");
}

export async function reset_is_answered_here_and_kept_to() {
  const { create, helper } = caller();
  const messages = [...PLAIN, { role: "assistant", content: "Earlier words." }];
  messages.push({ role: "user", content: [text("/reset-ai")] });
  const more = { system: [text("You are a baker.")] };
  const [final, nothing] = await forwarded(() => helper("normal", messages, more).finalMessage());
  equal(nothing, [], "requests that reached the upstream");
  holds(final.content[0].text, "no longer used");
  equal(final.stop_reason, "end_turn", "stop_reason");
  const [, seen] = await forwarded(() => create("normal", [...messages, turn(final), AGAIN], more));
  equal(seen[0].json.messages, [AGAIN], "turns that the upstream got");
  equal(seen[0].json.system, more.system, "system");
}

export async function card_numbers_are_redacted_both_ways() {
  const { wire, create, helper } = caller();
  const messages = [{ role: "user", content: `My card is ${world.card}, what now?` }];
  const [answer, seen] = await forwarded(() => create("card", messages));
  equal(answer.content[0].text, REDACTED, "answer");
  equal(seen[0].json.messages[0].content, "My card is [redacted], what now?", "prompt");
  wire.says("redact", "full");
  const final = await helper("card", messages).finalMessage();
  equal([final.content[0].text, final.stop_reason], [REDACTED, "end_turn"], "streamed answer");
}

export async function tools_work_there_and_back() {
  const { wire, create, helper } = caller();
  const tools = [WEATHER];
  const called = await helper("tool", PLAIN, { tools }).finalMessage();
  equal(called.content[0].input, { city: "Vienna" }, "input");
  equal(called.stop_reason, "tool_use", "stop_reason");
  const result = { type: "tool_result", tool_use_id: "toolu_1", content: "Sunny, 21 degrees." };
  const messages = [...PLAIN, turn(called), { role: "user", content: [result] }];
  const [answer, seen] = await forwarded(() => create("normal", messages, { tools }));
  equal(answer.content[0].text, ANSWER, "text");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
}

export async function a_bad_tool_result_is_refused() {
  const { create } = caller();
  const use = { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Vienna" } };
  const called = { role: "assistant", content: [use] };
  for (const content of [
    BAD,
    [text(BAD)],
    [text("Tell me of project night"), text("fall please")],
  ]) {
    const result = { type: "tool_result", tool_use_id: "toolu_1", content };
    const messages = [...PLAIN, called, { role: "user", content: [result] }];
    const [answer, seen] = await forwarded(() => create("normal", messages, { tools: [WEATHER] }));
    isRefusal(answer);
    equal(seen, [], "requests that reached the upstream");
  }
}

export async function the_tool_runner_of_the_beta_works() {
  // The helper asks again by itself; a query is kept.
  const { wire, sdk } = caller();
  const use = { type: "tool_use", id: "toolu_1", name: "weather", input: { city: "Vienna" } };
  await plays("runner", { whole: message([use], "tool_use") });
  const given = [];
  const run = async (input) => {
    given.push(input);
    await plays("runner", { whole: message([text("It is sunny.")], "end_turn") });
    return "Sunny, 21 degrees.";
  };
  const tools = [{ ...WEATHER, run, parse: (input) => input }];
  const params = { model: "runner", max_tokens: 64, messages: PLAIN, tools };
  const runner = sdk.beta.messages.toolRunner(params, { query: { beta: "true" } });
  const [last, seen] = await forwarded(() => runner.runUntilDone());
  equal(last.content[0].text, "It is sunny.", "text");
  equal(given, [{ city: "Vienna" }], "what the tool got");
  equal(
    seen.map((one) => one.path),
    Array(2).fill("/v1/messages?beta=true"),
    "paths",
  );
  equal(seen[1].body, wire.last.body, "bytes that the upstream got");
}

export async function a_bad_streamed_tool_call_never_arrives() {
  const { helper } = caller();
  const use = { type: "tool_use", id: "toolu_1", name: "weather", input: {} };
  const part = (partial_json) => ({ type: "input_json_delta", partial_json });
  const deltas = [part('{"city": "proj'), part("ect night"), part('fall"}')];
  await plays("bad-use", { events: stream(block(0, use, deltas), "tool_use") });
  const pieces = [];
  const got = helper("bad-use", PLAIN, { tools: [WEATHER] });
  const final = await got.on("inputJson", (piece) => pieces.push(piece)).finalMessage();
  isRefusal(final);
  hides([final, pieces], "nightfall", "proj", "ect night");
}

export async function two_tools_in_one_answer_keep_their_places() {
  const { helper } = caller();
  const use = (id) => ({ type: "tool_use", id, name: "weather", input: {} });
  const given = (city) => [{ type: "input_json_delta", partial_json: JSON.stringify({ city }) }];
  const blocks = [block(0, text(""), [delta("Let me look.")])];
  blocks.push(block(1, use("toolu_1"), given("Graz")), block(2, use("toolu_2"), given("Linz")));
  await plays("two-tools", { events: stream(blocks.flat(), "tool_use") });
  const more = { tools: [WEATHER], tool_choice: { type: "any", disable_parallel_tool_use: false } };
  const { content } = await helper("two-tools", PLAIN, more).finalMessage();
  equal(
    content.map((one) => one.input?.city ?? one.text),
    ["Let me look.", "Graz", "Linz"],
    "blocks",
  );
}

export async function thinking_passes_and_is_taken_back() {
  const { wire, create, helper } = caller();
  const thinking = { type: "thinking", thinking: "", signature: "" };
  const signed = { type: "signature_delta", signature: SIGNATURE };
  const hidden = { type: "redacted_thinking", data: "c2VjcmV0" };
  const blocks = [block(0, thinking, [thought("Bread is "), thought("easy."), signed])];
  blocks.push(block(1, hidden, []), block(2, text(""), [delta("Take flour.")]));
  await plays("thinking", { events: stream(blocks.flat()) });
  const more = { thinking: { type: "enabled", budget_tokens: 1024 } };
  const final = await helper("thinking", PLAIN, more).finalMessage();
  equal(
    final.content[0],
    { type: "thinking", thinking: "Bread is easy.", signature: SIGNATURE },
    "thinking",
  );
  equal(final.content.slice(1), [hidden, text("Take flour.")], "other blocks");
  const messages = [...PLAIN, turn(final), AGAIN];
  const [, seen] = await forwarded(() => create("normal", messages, more));
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
}

export async function bad_thinking_never_arrives() {
  const { helper, create } = caller();
  const thinking = { type: "thinking", thinking: "", signature: "" };
  const blocks = [
    block(0, thinking, [thought("They mean proj"), thought("ect night"), thought("fall.")]),
  ];
  blocks.push(block(1, text(""), [delta("Take flour.")]));
  await plays("bad-thinking", {
    events: stream(blocks.flat()),
    whole: message(
      [{ ...thinking, thinking: `They mean ${world.secret}.` }, text("Hm.")],
      "end_turn",
    ),
  });
  const pieces = [];
  const got = helper("bad-thinking", PLAIN).on("thinking", (piece) => pieces.push(piece));
  const final = await got.finalMessage();
  isRefusal(final);
  hides([final, pieces], "nightfall", "proj", "ect night", "Take flour");
  isRefusal(await create("bad-thinking", PLAIN));
}

export async function parts_and_rare_options_pass_verbatim() {
  const { wire, create } = caller();
  const cache_control = { type: "ephemeral", ttl: "1h" };
  const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } };
  const plain = { type: "text", media_type: "text/plain", data: "Rye needs time." };
  const paper = { type: "document", source: plain, title: "Rye", citations: { enabled: true } };
  const messages = [{ role: "user", content: [image, paper, { ...text(PROMPT), cache_control }] }];
  const more = {
    system: [{ ...text("You are a baker."), cache_control }],
    stop_sequences: ["END"],
    metadata: { user_id: "user-1" },
    temperature: 0.5,
    top_k: 3,
    service_tier: "auto",
    tools: [{ ...WEATHER, cache_control, strict: true }],
    tool_choice: { type: "tool", name: "weather" },
    thinking: { type: "adaptive" },
    output_config: { effort: "low" },
  };
  const [answer, seen] = await forwarded(() => create("normal", messages, more));
  equal(answer.content[0].text, ANSWER, "text");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
  holds(wire.last.headers.get("x-portcullis-coverage"), "partial");
}

export async function a_bad_text_in_a_rare_place_is_refused() {
  const source = { type: "text", media_type: "text/plain", data: BAD };
  const places = {
    system: BAD,
    stop_sequences: [world.secret],
    metadata: { user_id: world.secret },
    tools: [{ ...WEATHER, description: BAD }],
    messages: [{ role: "user", content: [{ type: "document", source }, text(PROMPT)] }],
    x_vendor_hint: { note: [BAD] },
  };
  for (const [field, value] of Object.entries(places)) {
    const [answer, seen] = await forwarded(() =>
      caller().create("normal", PLAIN, { [field]: value }),
    );
    equal(answer.stop_reason, "refusal", `stop_reason with ${field}`);
    equal(seen, [], `requests that reached the upstream with ${field}`);
  }
}

export async function abort_in_mid_stream_cancels_the_upstream() {
  const { helper } = caller();
  const deltas = Array.from({ length: 400 }, (_, idx) => delta(`Loaf ${idx}. `));
  await plays("endless", { events: stream(block(0, text(""), deltas)) });
  const [, seen] = await forwarded(async () => {
    const got = helper("endless", PLAIN);
    got.once("text", () => got.abort());
    await raises(Anthropic.APIUserAbortError, () => got.finalMessage());
  });
  await world.isCancelled(seen[0]);
}

export async function cut_streams_are_never_a_clean_end() {
  const { create, helper } = caller({ maxRetries: 0 });
  const whole = stream(block(0, text(""), [delta("Bread needs "), delta("flour.")]));
  const overloaded = event("error", { error: { type: "overloaded_error", message: "busy" } });
  await plays("no-end", { events: whole.slice(0, 3) });
  await plays("no-stop", { events: whole.slice(0, -1) });
  await plays("error-event", { events: [...whole.slice(0, 3), overloaded] });
  await plays("no-json", {
    events: [...whole.slice(0, 3), "event: content_block_delta\ndata: {\n\n"],
  });
  for (const model of ["cut", "no-end", "no-stop", "error-event", "no-json"]) {
    await raises(Anthropic.APIError, () => helper(model, PLAIN).finalMessage());
    await raises(Anthropic.APIError, async () =>
      collect(await create(model, PLAIN, { stream: true })),
    );
  }
  await raises(Anthropic.InternalServerError, () => create("cut", PLAIN));
}

export async function a_busy_upstream_keeps_its_headers() {
  const { wire, create, helper } = caller({ maxRetries: 0 });
  const error = await raises(Anthropic.RateLimitError, () => create("busy", PLAIN));
  equal([error.status, error.error.error.type], [429, "rate_limit_error"], "status and type");
  equal(error.headers.get("retry-after"), "7", "retry-after");
  await raises(Anthropic.RateLimitError, () => helper("busy", PLAIN).finalMessage());
  equal(wire.calls.length, 2, "requests that the SDK made");
}

export async function endpoints_that_are_not_guarded_are_refused_in_shape() {
  const { sdk } = caller();
  const body = { model: "normal", messages: REFUSED };
  const count = () => raises(Anthropic.NotFoundError, () => sdk.messages.countTokens(body));
  const [error, seen] = await forwarded(count);
  equal(seen, [], "requests that reached the upstream");
  equal(error.error.type, "error", "shape");
  equal(error.error.error.type, "not_found_error", "type");
  expect(error.requestID, "request-id is missing");
}
