// Odd but legal options and parts, through the npm package `openai`. Every exported function is a
// case.

import { ContentFilterFinishReasonError } from "openai/error";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { AGAIN, PLAIN, REFUSED, WEATHER, caller, read } from "./openai_caller.mjs";
import { DONE, chunk, completion, reply } from "./shapes.mjs";
import * as world from "./world.mjs";
import { ANSWER, BAD, PROMPT } from "./world.mjs";
import { equal, forwarded, hides, holds, plays, raises } from "./world.mjs";

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk" +
  "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export async function one_bad_choice_refuses_the_whole_answer() {
  const { create } = caller();
  const bad = reply(`It is ${world.secret}.`);
  await plays("two", { whole: completion(reply("Good bread."), bad) });
  const answer = await create("two", PLAIN, { n: 2 });
  const ends = answer.choices.map((one) => one.finish_reason);
  equal(ends, ["content_filter", "content_filter"], "finish_reason");
  for (const one of answer.choices) holds(one.message.refusal, world.clause);
  hides(answer, "nightfall");
}

export async function one_bad_streamed_choice_refuses_both() {
  const { create } = caller();
  const say = (index, content) => chunk({ content }, null, index);
  const events = [say(0, "Good "), say(1, "It is proj"), say(0, "bread "), say(1, "ect night")];
  events.push(say(1, "fall. "), say(0, "rises."), chunk({}, "stop", 0), chunk({}, "stop", 1), DONE);
  await plays("two-streamed", { events });
  const got = await read(await create("two-streamed", PLAIN, { n: 2, stream: true }));
  hides(got.chunks, "nightfall", "project", "ect night");
  equal(got.ends, ["content_filter", "content_filter"], "finish_reason");
  for (const index of [0, 1]) holds(got.joined("refusal", index), world.clause);
}

export async function a_refused_prompt_of_two_choices_refuses_both() {
  const { choices } = await caller().create("normal", REFUSED, { n: 2 });
  equal(
    choices.map((one) => one.finish_reason),
    ["content_filter", "content_filter"],
    "choices",
  );
  const got = await read(await caller().create("normal", REFUSED, { n: 2, stream: true }));
  for (const index of [0, 1]) holds(got.joined("refusal", index), world.clause);
}

export async function parallel_tool_calls_keep_their_places() {
  const { create } = caller();
  const call = (index, part, id) => {
    const head = id ? { id, type: "function" } : {};
    return chunk({ tool_calls: [{ index, ...head, function: part }] });
  };
  const events = [call(0, { name: "weather", arguments: "" }, "call_1")];
  events.push(call(1, { name: "weather", arguments: '{"city"' }, "call_2"));
  events.push(call(0, { arguments: '{"city": "Graz"}' }), call(1, { arguments: ': "Linz"}' }));
  events.push(chunk({}, "tool_calls"), DONE);
  await plays("parallel", { events });
  const more = {
    tools: [WEATHER],
    stream: true,
    parallel_tool_calls: true,
    tool_choice: "required",
  };
  const { choices } = await read(await create("parallel", PLAIN, more));
  const joined = ["", ""];
  for (const one of choices.flatMap((choice) => choice.delta.tool_calls ?? [])) {
    joined[one.index] += one.function.arguments ?? "";
  }
  equal(joined, ['{"city": "Graz"}', '{"city": "Linz"}'], "arguments");
}

export async function json_schema_answers_are_parsed() {
  const { wire, sdk } = caller();
  await plays("json", { whole: completion(reply('{"bread":"rye","card":"' + world.card + '"}')) });
  const shape = z.object({ bread: z.string(), card: z.string() });
  const response_format = zodResponseFormat(shape, "loaf");
  const ask = () => sdk.chat.completions.parse({ model: "json", messages: PLAIN, response_format });
  const [answer, seen] = await forwarded(ask);
  equal(answer.choices[0].message.parsed, { bread: "rye", card: "[redacted]" }, "parsed");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
}

export async function a_refused_json_schema_answer_is_never_half_parsed() {
  // By its own rule the helper throws at `content_filter`.
  const { wire, sdk } = caller();
  const response_format = zodResponseFormat(z.object({ bread: z.string() }), "loaf");
  await plays("json-bad", { whole: completion(reply(`{"bread":"${world.secret}"}`)) });
  const params = { model: "json-bad", messages: PLAIN, response_format };
  const error = await raises(ContentFilterFinishReasonError, () =>
    sdk.chat.completions.parse(params),
  );
  hides(error.message, "nightfall");
  equal(wire.calls.length, 1, "requests that the SDK made");
}

export async function logprobs_pass_and_tell_no_secret() {
  const { create } = caller();
  const tokens = (...list) => ({
    content: list.map((token) => ({ token, logprob: -0.1, bytes: null, top_logprobs: [] })),
    refusal: null,
  });
  await plays("logprobs", {
    whole: completion({ ...reply("Rye bread"), logprobs: tokens("Rye", " bread") }),
  });
  const good = await create("logprobs", PLAIN, { logprobs: true });
  equal(
    good.choices[0].logprobs.content.map((one) => one.token),
    ["Rye", " bread"],
    "tokens",
  );
  const leak = { ...reply("Rye bread"), logprobs: tokens("project", " night", "fall") };
  await plays("logprobs-bad", { whole: completion(leak) });
  const bad = await create("logprobs-bad", PLAIN, { logprobs: true });
  hides(bad, "nightfall", "night");
}

export async function redacted_text_does_not_stand_in_logprobs() {
  const { create } = caller();
  const split = [world.card.slice(0, 7), world.card.slice(7)];
  const content = split.map((token) => ({ token, logprob: -0.1, bytes: null, top_logprobs: [] }));
  const choice = { ...reply(`Card ${world.card}`), logprobs: { content, refusal: null } };
  await plays("logprobs-card", { whole: completion(choice) });
  const answer = await create("logprobs-card", PLAIN, { logprobs: true });
  equal(answer.choices[0].message.content, "Card [redacted]", "content");
  hides(answer, "4111", "1111");
}

export async function image_parts_pass_and_are_told() {
  const { wire, create } = caller();
  const text = { type: "text", text: PROMPT };
  const image = { type: "image_url", image_url: { url: PIXEL, detail: "low" } };
  const [answer, seen] = await forwarded(() =>
    create("normal", [{ role: "user", content: [text, image] }]),
  );
  equal(answer.choices[0].message.content, ANSWER, "content");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
  holds(wire.last.headers.get("x-portcullis-coverage"), "partial");
  const bad = [{ role: "user", content: [image, { type: "text", text: BAD }] }];
  equal((await create("normal", bad)).choices[0].finish_reason, "content_filter", "finish_reason");
}

export async function words_split_over_text_parts_are_seen() {
  const { create } = caller();
  const content = ["Tell me of project night", "fall please"].map((text) => ({
    type: "text",
    text,
  }));
  const [answer, seen] = await forwarded(() => create("normal", [{ role: "user", content }]));
  equal(answer.choices[0].finish_reason, "content_filter", "finish_reason");
  equal(seen, [], "requests that reached the upstream");
}

export async function developer_and_rare_options_pass_verbatim() {
  const { wire, create } = caller();
  const messages = [
    { role: "developer", content: "You are a baker." },
    { ...AGAIN, name: "ada" },
  ];
  const more = {
    seed: 7,
    stop: ["END"],
    logit_bias: { 50256: -100 },
    metadata: { app: "shop" },
    store: false,
    service_tier: "auto",
    reasoning_effort: "low",
    verbosity: "low",
    prompt_cache_key: "shop-1",
    safety_identifier: "user-1",
    top_logprobs: 2,
    logprobs: true,
    max_completion_tokens: 64,
    tools: [WEATHER],
    tool_choice: { type: "function", function: { name: "weather" } },
    prediction: { type: "content", content: "Take flour." },
    modalities: ["text"],
  };
  const [answer, seen] = await forwarded(() => create("normal", messages, more));
  equal(answer.choices[0].message.content, ANSWER, "content");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
  wire.says("allow", "full");
}

export async function a_bad_text_in_a_rare_place_is_refused() {
  const places = {
    stop: [world.secret],
    user: world.secret,
    prediction: { type: "content", content: world.secret },
    tools: [
      { type: "function", function: { name: "x", description: world.secret, parameters: {} } },
    ],
    x_vendor_hint: { note: [world.secret] },
  };
  for (const [field, value] of Object.entries(places)) {
    const [answer, seen] = await forwarded(() =>
      caller().create("normal", PLAIN, { [field]: value }),
    );
    equal(answer.choices[0].finish_reason, "content_filter", `finish_reason with ${field}`);
    equal(seen, [], `requests that reached the upstream with ${field}`);
  }
}

export async function padding_of_the_provider_passes() {
  // Against those who measure the length of encrypted chunks; on by default at the provider.
  const { create } = caller();
  const padded = (content) => chunk({ content }, null, 0, { obfuscation: "aX9kQ2" });
  await plays("padded", { events: [...world.normal.map(padded), chunk({}, "stop"), DONE] });
  const stream_options = { include_obfuscation: true };
  const got = await read(await create("padded", PLAIN, { stream: true, stream_options }));
  equal([got.content, got.ends], [ANSWER, ["stop"]], "answer");
  equal(got.chunks[0].obfuscation, "aX9kQ2", "padding");
}
