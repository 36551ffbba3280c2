// What an application sees through the npm package `openai`. Nothing of the package is replaced.
// Every exported function is a case.

import OpenAI from "openai";
import { ContentFilterFinishReasonError } from "openai/error";
import { AGAIN, PLAIN, REFUSED, SYSTEM, WEATHER, caller, read } from "./openai_caller.mjs";
import { DONE, chunk, completion, data, reply, toolCall } from "./shapes.mjs";
import * as world from "./world.mjs";
import { ANSWER, BAD, FORBIDDEN, REDACTED } from "./world.mjs";
import { collect, equal, expect, forwarded, hides, holds, plays, raises } from "./world.mjs";

export async function normal_passes() {
  const { wire, create } = caller();
  const more = { x_unknown: { keep: [1, 2.5, "café"] } };
  const [answer, seen] = await forwarded(() => create("normal", PLAIN, more));
  equal(answer.choices[0].message.content, ANSWER, "content");
  equal(answer.x_vendor.note, "café", "unknown field of the answer");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
  wire.says("allow", "full");
  hides(Object.keys(seen[0].headers).join(" "), "x-portcullis");
}

export async function a_compressed_answer_is_read() {
  const { create } = caller();
  await plays("gzip-plain", { whole: completion(reply("Salt and flour.")), gzip: true });
  equal(
    (await create("gzip-plain", PLAIN)).choices[0].message.content,
    "Salt and flour.",
    "content",
  );
  const whole = completion(reply(`It is ${world.secret}.`));
  await plays("gzip-harmful", { whole, gzip: true });
  const answer = await create("gzip-harmful", PLAIN);
  equal(answer.choices[0].finish_reason, "content_filter", "finish_reason");
  hides(answer, "nightfall");
}

export async function stream_is_read_in_chunks_with_usage() {
  const { wire, create } = caller();
  const options = { stream: true, stream_options: { include_usage: true } };
  const { chunks, content, choices, ends } = await read(await create("normal", PLAIN, options));
  equal(content, ANSWER, "text");
  const pieces = choices.filter((one) => one.delta.content);
  equal(
    pieces.map((one) => one.delta.content),
    world.normal,
    "chunks",
  );
  equal(ends, ["stop"], "finish_reason");
  equal(chunks.at(-1).usage.total_tokens, 18, "usage");
  wire.says("allow", "pending");
}

export async function stream_helper_gives_the_final_completion() {
  const stream = caller().sdk.chat.completions.stream({ model: "normal", messages: PLAIN });
  const deltas = [];
  stream.on("content", (delta) => deltas.push(delta));
  equal((await stream.finalChatCompletion()).choices[0].message.content, ANSWER, "content");
  equal(deltas.join(""), ANSWER, "deltas");
}

export async function refused_prompt_is_a_refusal() {
  const { wire, create } = caller();
  const [answer, seen] = await forwarded(() => create("normal", REFUSED));
  equal(seen, [], "requests that reached the upstream");
  const [choice] = answer.choices;
  equal(choice.finish_reason, "content_filter", "finish_reason");
  equal(choice.message.content, null, "content");
  holds(choice.message.refusal, world.clause);
  hides(answer, "nightfall");
  wire.says("block", "full");
  equal(wire.last.status, 200, "status");
}

export async function refused_prompt_of_a_stream_is_a_refusal() {
  const { wire, create } = caller();
  const options = { stream: true, stream_options: { include_usage: true } };
  const [got, seen] = await forwarded(async () => read(await create("normal", REFUSED, options)));
  equal(seen, [], "requests that reached the upstream");
  equal(got.content, "", "content");
  holds(got.refusal, world.clause);
  equal(got.ends, ["content_filter"], "finish_reason");
  expect(got.chunks.at(-1).usage, "the usage chunk is missing");
  wire.says("block", "full");
}

export async function refused_prompt_through_the_stream_helper() {
  const { wire, sdk } = caller();
  const stream = sdk.chat.completions.stream({ model: "normal", messages: REFUSED });
  const deltas = [];
  stream.on("refusal.delta", ({ delta }) => deltas.push(delta));
  const { choices } = await stream.finalChatCompletion();
  holds(deltas.join(""), world.clause);
  equal(choices[0].message.refusal, deltas.join(""), "refusal of the final completion");
  equal(choices[0].message.content, null, "content");
  equal(choices[0].finish_reason, "content_filter", "finish_reason");
  equal(wire.calls.length, 1, "requests that the SDK made");
}

export async function refused_answer_is_a_refusal() {
  const { wire, create } = caller();
  const answer = await create("harmful", PLAIN);
  equal(answer.choices[0].finish_reason, "content_filter", "finish_reason");
  holds(answer.choices[0].message.refusal, world.clause);
  hides(answer, ...FORBIDDEN);
  wire.says("block", "full");
}

export async function refused_mid_stream_ends_the_stream() {
  const { wire, create } = caller();
  const options = { stream: true, stream_options: { include_usage: true } };
  const [got, seen] = await forwarded(async () => read(await create("harmful", PLAIN, options)));
  hides(got.chunks, ...FORBIDDEN);
  holds(got.refusal, world.clause);
  equal(got.ends, ["content_filter"], "finish_reason");
  wire.says("allow", "pending");
  await world.isCancelled(seen[0]);
}

export async function conversation_goes_on_after_a_refused_prompt() {
  const { create } = caller();
  const messages = [...PLAIN];
  messages.push((await create("normal", messages)).choices[0].message, ...REFUSED);
  messages.push((await create("normal", messages)).choices[0].message, AGAIN);
  const [answer, seen] = await forwarded(() => create("normal", messages));
  equal(answer.choices[0].message.content, ANSWER, "content");
  hides(seen[0].body, "nightfall", world.clause);
  const kept = seen[0].json.messages.map((one) => one.role);
  equal(kept, ["system", "user", "assistant", "user"], "turns that the upstream got");
}

export async function conversation_goes_on_after_a_refused_stream() {
  const { create } = caller();
  const { content, refusal, ends } = await read(await create("harmful", PLAIN, { stream: true }));
  equal(ends, ["content_filter"], "finish_reason");
  const messages = [...PLAIN, { role: "assistant", content, refusal }, AGAIN];
  const [answer, seen] = await forwarded(() => create("normal", messages));
  equal(answer.choices[0].message.content, ANSWER, "content");
  hides(seen[0].body, world.clause);
}

export async function reset_is_answered_here_and_kept_to() {
  const { wire, create } = caller();
  const messages = [...PLAIN, { role: "assistant", content: "Earlier words." }];
  messages.push({ role: "user", content: "/reset-ai" });
  const [answer, nothing] = await forwarded(() => create("normal", messages));
  equal(nothing, [], "requests that reached the upstream");
  holds(answer.choices[0].message.content, "no longer used");
  equal(answer.choices[0].finish_reason, "stop", "finish_reason");
  const streamed = await read(await create("normal", messages, { stream: true }));
  equal(streamed.content, answer.choices[0].message.content, "the streamed answer");
  messages.push(answer.choices[0].message, AGAIN);
  const [, seen] = await forwarded(() => create("normal", messages));
  equal(seen[0].json.messages, [SYSTEM, AGAIN], "turns that the upstream got");
  equal(wire.calls.length, 3, "requests that the SDK made");
}

export async function card_numbers_are_redacted_both_ways() {
  const { wire, create } = caller();
  const messages = [{ role: "user", content: `My card is ${world.card}, what now?` }];
  const [answer, seen] = await forwarded(() => create("card", messages));
  equal(answer.choices[0].message.content, REDACTED, "answer");
  equal(seen[0].json.messages[0].content, "My card is [redacted], what now?", "prompt");
  wire.says("redact", "full");
  const got = await read(await create("card", messages, { stream: true }));
  equal(got.content, REDACTED, "streamed answer");
  equal(got.ends, ["stop"], "finish_reason");
}

export async function tools_run_through_the_helper() {
  // The helper asks again by itself; the tool's result is what makes the upstream answer in words.
  const { wire, sdk } = caller();
  await plays("weather", {
    whole: completion({
      message: {
        role: "assistant",
        content: null,
        tool_calls: [toolCall("call_1", "weather", { city: "Vienna" })],
      },
      finish_reason: "tool_calls",
    }),
  });
  const given = [];
  const runner = sdk.chat.completions.runTools({
    model: "weather",
    messages: PLAIN,
    tools: [{ ...WEATHER, function: { ...WEATHER.function, parse: JSON.parse, function: sunny } }],
  });
  async function sunny(input) {
    given.push(input);
    await plays("weather", { whole: completion(reply("It is sunny.")) });
    return "Sunny, 21 degrees.";
  }
  const [last, seen] = await forwarded(() => runner.finalContent());
  equal(last, "It is sunny.", "final content");
  equal(given, [{ city: "Vienna" }], "what the tool got");
  equal(seen.length, 2, "requests that reached the upstream");
  const roles = seen[1].json.messages.map((one) => one.role);
  equal(roles, ["system", "user", "assistant", "tool"], "turns of the second request");
  equal(seen[1].body, wire.last.body, "bytes that the upstream got");
}

export async function a_bad_tool_result_is_refused_in_the_helper() {
  const { sdk } = caller();
  const runner = sdk.chat.completions.runTools({
    model: "tool",
    messages: PLAIN,
    tools: [{ ...WEATHER, function: { ...WEATHER.function, parse: JSON.parse, function: leaks } }],
  });
  async function leaks() {
    return `Sunny. Also: ${world.secret}.`;
  }
  // By its own rule the helper throws at `content_filter`.
  const ends = () => raises(ContentFilterFinishReasonError, () => runner.finalChatCompletion());
  const [, seen] = await forwarded(ends);
  equal(seen.length, 1, "requests that reached the upstream");
}

export async function streamed_tool_calls_are_put_together() {
  const { sdk } = caller();
  const stream = sdk.chat.completions.stream({ model: "tool", messages: PLAIN, tools: [WEATHER] });
  const { choices } = await stream.finalChatCompletion();
  equal(choices[0].message.tool_calls[0].function.arguments, '{"city": "Vienna"}', "arguments");
  equal(choices[0].finish_reason, "tool_calls", "finish_reason");
}

export async function a_bad_streamed_tool_call_never_arrives() {
  const { create } = caller();
  const part = (text) => chunk({ tool_calls: [{ index: 0, function: { arguments: text } }] });
  const first = {
    index: 0,
    id: "call_1",
    type: "function",
    function: { name: "weather", arguments: "" },
  };
  const events = [chunk({ tool_calls: [first] }), part('{"city": "proj'), part("ect night")];
  events.push(part('fall"}'), chunk({}, "tool_calls"), DONE);
  await plays("bad-call", { events });
  const got = await read(await create("bad-call", PLAIN, { tools: [WEATHER], stream: true }));
  hides(got.chunks, "nightfall", "proj", "ect night");
  equal(got.ends, ["content_filter"], "finish_reason");
  holds(got.refusal, world.clause);
}

export async function abort_in_mid_stream_cancels_the_upstream() {
  const { create } = caller();
  const lines = Array.from({ length: 400 }, (_, idx) => chunk({ content: `Loaf ${idx}. ` }));
  await plays("endless", { events: [...lines, chunk({}, "stop"), DONE] });
  const [, seen] = await forwarded(async () => {
    for await (const part of await create("endless", PLAIN, { stream: true })) {
      if (part.choices[0].delta.content) break; // the SDK aborts the request
    }
  });
  await world.isCancelled(seen[0]);
}

export async function cut_streams_are_never_a_clean_end() {
  const { create } = caller({ maxRetries: 0 });
  const said = chunk({ content: "Bread needs " });
  const overloaded = data({ error: { message: "overloaded", type: "server_error", code: null } });
  await plays("no-end", { events: [said] });
  await plays("no-done", { events: [said, chunk({}, "stop")] });
  await plays("error-event", { events: [said, overloaded] });
  await plays("no-json", { events: [said, 'data: {"choices": [\n\n', DONE] });
  for (const model of ["cut", "no-end", "error-event", "no-json", "no-done"]) {
    await raises(OpenAI.APIError, async () => read(await create(model, PLAIN, { stream: true })));
  }
  await raises(OpenAI.APIError, () =>
    caller({ maxRetries: 0 })
      .sdk.chat.completions.stream({ model: "cut", messages: PLAIN })
      .finalChatCompletion(),
  );
  await raises(OpenAI.InternalServerError, () => create("cut", PLAIN));
}

export async function a_busy_upstream_keeps_its_headers() {
  const { wire, create } = caller({ maxRetries: 0 });
  const error = await raises(OpenAI.RateLimitError, () => create("busy", PLAIN));
  equal([error.status, error.type], [429, "rate_limit_error"], "status and type");
  equal(error.headers.get("retry-after"), "7", "retry-after");
  await raises(OpenAI.RateLimitError, () => create("busy", PLAIN, { stream: true }));
  equal(wire.calls.length, 2, "requests that the SDK made");
}

export async function endpoints_that_are_not_guarded_are_refused_in_shape() {
  const { sdk } = caller();
  const input = { model: "normal", input: BAD };
  const [error, seen] = await forwarded(() =>
    raises(OpenAI.NotFoundError, () => sdk.responses.create(input)),
  );
  equal(seen, [], "requests that reached the upstream");
  expect(error.error?.message, "no message in the error");
  await raises(OpenAI.NotFoundError, () => sdk.embeddings.create(input));
}

export async function moderations_and_models_are_answered() {
  const { sdk } = caller();
  const ask = () => sdk.moderations.create({ input: ["How do I bake bread?", BAD] });
  const [{ results }, seen] = await forwarded(ask);
  equal([results.length, results[0].flagged], [2, false], "results");
  equal(seen, [], "requests that reached the upstream");
  equal(
    (await collect(sdk.models.list())).map((one) => one.id),
    ["normal"],
    "models",
  );
}
