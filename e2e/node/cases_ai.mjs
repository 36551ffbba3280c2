// What an application sees through the npm package `ai` (the Vercel AI SDK) with the providers
// `@ai-sdk/openai` (chat), `@ai-sdk/openai-compatible` and `@ai-sdk/anthropic`. Nothing of the
// packages is replaced. Every exported function is a case.
//
// This SDK gives a refusal as text, with `content-filter` as the reason: so a refusal comes back in
// the history as words of the assistant.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, NoObjectGeneratedError } from "ai";
import { generateObject, generateText, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";
import { playObject, playReasoning, playTool, playWords } from "./ai_plays.mjs";
import { block, chunk, event, stream } from "./shapes.mjs";
import * as world from "./world.mjs";
import { ANSWER, BAD, FORBIDDEN, PROMPT, REDACTED, Wire } from "./world.mjs";
import { collect, equal, expect, forwarded, hides, holds, plays, raises } from "./world.mjs";

// Its warnings on options that a provider does not know are not what is tested here.
globalThis.AI_SDK_LOG_WARNINGS = false;

const AGAIN = { role: "user", content: "And how do I bake rolls?" };
const roles = (seen) => seen.json.messages.map((one) => one.role);

/** The three providers, each a function from a wire to a function from a name to a model. */
const PROVIDERS = {
  openai: ({ key, fetch }) =>
    createOpenAI({ apiKey: key, baseURL: `${world.gate}/v1`, fetch }).chat,
  compatible: ({ key, fetch }) =>
    createOpenAICompatible({
      name: "e2e",
      apiKey: key,
      baseURL: `${world.gate}/v1`,
      fetch,
      includeUsage: true,
    }),
  anthropic: ({ key, fetch }) =>
    createAnthropic({ apiKey: key, baseURL: `${world.gate}/v1`, fetch }),
};

/** Runs the same case with every provider, each with a key of its own. */
async function withEach(run) {
  for (const [name, provider] of Object.entries(PROVIDERS)) {
    const wire = new Wire();
    try {
      await run({ wire, name, model: provider(wire), isAnthropic: name === "anthropic" });
    } catch (error) {
      error.message = `${name}: ${error.message}`;
      throw error;
    }
  }
}

/** Reads a stream to its end; what the SDK reports as errors is part of what a caller sees. */
async function read(options) {
  const errors = [];
  const result = streamText({ ...options, onError: ({ error }) => errors.push(error) });
  const parts = await collect(result.fullStream);
  const text = parts.map((one) => (one.type === "text-delta" ? one.text : "")).join("");
  const finish = parts.find((one) => one.type === "finish");
  return { parts, text, errors, reason: finish?.finishReason, usage: finish?.totalUsage };
}

const weather = (execute) =>
  tool({ description: "The weather.", inputSchema: z.object({ city: z.string() }), execute });

export async function generate_text_gives_the_answer() {
  await withEach(async ({ wire, model }) => {
    const ask = () =>
      generateText({ model: model("normal"), system: "You are a baker.", prompt: PROMPT });
    const [answer, seen] = await forwarded(ask);
    equal([answer.text, answer.finishReason], [ANSWER, "stop"], "answer");
    equal(answer.usage.outputTokens, 9, "usage");
    equal(seen[0].body, wire.last.body, "bytes that the upstream got");
    wire.says("allow", "full");
  });
}

export async function stream_text_gives_the_chunks() {
  await withEach(async ({ wire, model, name }) => {
    const got = await read({ model: model("normal"), prompt: PROMPT });
    const pieces = got.parts.filter((one) => one.type === "text-delta").map((one) => one.text);
    equal(pieces, world.normal, "chunks");
    equal([got.reason, got.errors], ["stop", []], "end");
    equal(got.usage.outputTokens, 9, `usage of ${name}`);
    wire.says("allow", "pending");
  });
}

export async function refused_prompt_is_a_content_filter_and_no_error() {
  await withEach(async ({ wire, model }) => {
    const [answer, seen] = await forwarded(() =>
      generateText({ model: model("normal"), prompt: BAD }),
    );
    equal(seen, [], "requests that reached the upstream");
    equal(answer.finishReason, "content-filter", "finishReason");
    holds(answer.text, world.clause);
    hides(answer.text, "nightfall");
    wire.says("block", "full");
  });
}

export async function refused_prompt_of_a_stream_is_a_content_filter() {
  await withEach(async ({ wire, model }) => {
    const [got, seen] = await forwarded(() => read({ model: model("normal"), prompt: BAD }));
    equal(seen, [], "requests that reached the upstream");
    equal([got.reason, got.errors], ["content-filter", []], "end");
    holds(got.text, world.clause);
    wire.says("block", "full");
  });
}

export async function refused_answer_is_a_content_filter() {
  await withEach(async ({ wire, model }) => {
    const answer = await generateText({ model: model("harmful"), prompt: PROMPT });
    equal(answer.finishReason, "content-filter", "finishReason");
    holds(answer.text, world.clause);
    hides(answer.response.body, ...FORBIDDEN);
    wire.says("block", "full");
  });
}

export async function refused_mid_stream_ends_as_a_content_filter() {
  await withEach(async ({ wire, model }) => {
    const [got, seen] = await forwarded(() => read({ model: model("harmful"), prompt: PROMPT }));
    hides(got.parts, ...FORBIDDEN);
    equal([got.reason, got.errors], ["content-filter", []], "end");
    wire.says("allow", "pending");
    await world.isCancelled(seen[0]);
  });
}

export async function conversation_goes_on_after_a_refused_prompt() {
  await withEach(async ({ model }) => {
    const messages = [{ role: "user", content: PROMPT }];
    messages.push(...(await generateText({ model: model("normal"), messages })).response.messages);
    messages.push({ role: "user", content: BAD });
    messages.push(...(await generateText({ model: model("normal"), messages })).response.messages);
    messages.push(AGAIN);
    const [answer, seen] = await forwarded(() =>
      generateText({ model: model("normal"), messages }),
    );
    equal([answer.text, answer.finishReason], [ANSWER, "stop"], "answer");
    hides(seen[0].body, "nightfall", world.clause);
    equal(roles(seen[0]), ["user", "assistant", "user"], "turns that the upstream got");
  });
}

export async function reset_is_answered_here_and_kept_to() {
  await withEach(async ({ model }) => {
    const messages = [
      { role: "user", content: PROMPT },
      { role: "assistant", content: "Earlier words." },
    ];
    messages.push({ role: "user", content: "/reset-ai" });
    const [said, nothing] = await forwarded(() =>
      generateText({ model: model("normal"), messages }),
    );
    equal(nothing, [], "requests that reached the upstream");
    holds(said.text, "no longer used");
    equal((await read({ model: model("normal"), messages })).text, said.text, "streamed reply");
    messages.push(...said.response.messages, AGAIN);
    const [, seen] = await forwarded(() => generateText({ model: model("normal"), messages }));
    equal(roles(seen[0]), ["user"], "turns that the upstream got");
    hides(seen[0].body, "Earlier words", "xylophone", "reset-ai");
  });
}

export async function card_numbers_are_redacted_both_ways() {
  await withEach(async ({ wire, model }) => {
    const prompt = `My card is ${world.card}, what now?`;
    const [answer, seen] = await forwarded(() => generateText({ model: model("card"), prompt }));
    equal([answer.text, answer.finishReason], [REDACTED, "stop"], "answer");
    holds(seen[0].body, "My card is [redacted], what now?");
    hides(seen[0].body, world.card);
    wire.says("redact", "full");
    const got = await read({ model: model("card"), prompt });
    equal([got.text, got.reason], [REDACTED, "stop"], "streamed answer");
  });
}

export async function tools_are_run_and_answered() {
  await withEach(async ({ wire, model, isAnthropic }) => {
    await playTool("agent", isAnthropic);
    const given = [];
    const execute = async (input) => {
      given.push(input);
      await playWords("agent", isAnthropic, "It is sunny.");
      return "Sunny, 21 degrees.";
    };
    const tools = { weather: weather(execute) };
    const options = { model: model("agent"), prompt: PROMPT, tools, stopWhen: stepCountIs(3) };
    const [answer, seen] = await forwarded(() => generateText(options));
    equal([answer.text, answer.finishReason], ["It is sunny.", "stop"], "answer");
    equal(given, [{ city: "Vienna" }], "what the tool got");
    equal(
      seen.map((one) => one.body),
      wire.calls.map((one) => one.body),
      "bytes that the upstream got",
    );
    await playTool("agent", isAnthropic);
    const got = await read(options);
    equal([got.text, got.reason, got.errors], ["It is sunny.", "stop", []], "streamed answer");
    equal(given.length, 2, "runs of the tool");
  });
}

export async function a_bad_tool_result_ends_the_steps() {
  await withEach(async ({ wire, model }) => {
    const tools = { weather: weather(async () => `Sunny. Also: ${world.secret}.`) };
    const options = { model: model("tool"), prompt: PROMPT, tools, stopWhen: stepCountIs(5) };
    const [answer, seen] = await forwarded(() => generateText(options));
    equal([answer.finishReason, answer.steps.length], ["content-filter", 2], "end");
    equal(seen.length, 1, "requests that reached the upstream");
    const [got] = await forwarded(() => read(options));
    equal([got.reason, got.errors], ["content-filter", []], "end of the stream");
    equal(wire.calls.length, 4, "requests that the SDK made");
  });
}

export async function a_bad_tool_call_is_never_run() {
  await withEach(async ({ model, isAnthropic }) => {
    await playTool("bad-agent", isAnthropic, ["proj", "ect night", "fall"]);
    const given = [];
    const tools = { weather: weather(async (input) => given.push(input)) };
    const options = { model: model("bad-agent"), prompt: PROMPT, tools, stopWhen: stepCountIs(3) };
    const answer = await generateText(options);
    equal(answer.finishReason, "content-filter", "finishReason");
    const got = await read(options);
    equal(got.reason, "content-filter", "finishReason of the stream");
    hides([answer.content, got.parts], "nightfall", "ect night");
    equal(given, [], "what the tool got");
  });
}

export async function generate_object_is_parsed_and_redacted() {
  await withEach(async ({ model, isAnthropic }) => {
    const schema = z.object({ bread: z.string(), card: z.string() });
    const text = JSON.stringify({ bread: "rye", card: world.card });
    const wanted = { bread: "rye", card: "[redacted]" };
    await playObject("loaf", isAnthropic, text);
    const { object } = await generateObject({ model: model("loaf"), schema, prompt: PROMPT });
    equal(object, wanted, "object");
    const streamed = streamObject({ model: model("loaf"), schema, prompt: PROMPT });
    const partial = await collect(streamed.partialObjectStream);
    equal(await streamed.object, wanted, "streamed object");
    hides(partial, "4111");
  });
}

export async function a_refused_object_is_no_object() {
  await withEach(async ({ wire, model, isAnthropic }) => {
    const schema = z.object({ bread: z.string() });
    await playObject("bad-loaf", isAnthropic, JSON.stringify({ bread: world.secret }));
    const ask = (name, prompt) => () => generateObject({ model: model(name), schema, prompt });
    for (const call of [ask("bad-loaf", PROMPT), ask("normal", BAD)]) {
      const error = await raises(NoObjectGeneratedError, call);
      equal(error.finishReason, "content-filter", "finishReason");
      hides([error.message, error.text], "nightfall");
    }
    equal(wire.calls.length, 2, "requests that the SDK made");
  });
}

export async function reasoning_passes_and_bad_reasoning_does_not() {
  await withEach(async ({ model, name }) => {
    if (name === "openai") return; // it reads no reasoning in chat completions
    await playReasoning("mused", name, ["Bread is ", "easy."]);
    const good = await read({ model: model("mused"), prompt: PROMPT });
    equal(
      [reasoning(good), good.text, good.reason],
      ["Bread is easy.", "Take flour.", "stop"],
      "answer",
    );
    await playReasoning("bad-mused", name, ["They mean proj", "ect night", "fall."]);
    const bad = await read({ model: model("bad-mused"), prompt: PROMPT });
    hides(bad.parts, "nightfall", "proj", "ect night", "Take flour");
    equal([bad.reason, bad.errors], ["content-filter", []], "end");
  });
}

export async function abort_in_mid_stream_cancels_the_upstream() {
  await withEach(async ({ model, isAnthropic }) => {
    const lines = Array.from({ length: 400 }, (_, idx) => `Loaf ${idx}. `);
    await playWords("endless", isAnthropic, ...lines);
    const control = new AbortController();
    const [, seen] = await forwarded(async () => {
      const result = streamText({
        model: model("endless"),
        prompt: PROMPT,
        abortSignal: control.signal,
      });
      for await (const part of result.fullStream) {
        if (part.type === "text-delta") control.abort();
      }
    });
    await world.isCancelled(seen[0]);
  });
}

export async function cut_streams_are_never_a_clean_end() {
  await withEach(async ({ model, isAnthropic }) => {
    const overloaded = { type: "overloaded_error", message: "busy" };
    const whole = stream(
      block(0, { type: "text", text: "" }, [{ type: "text_delta", text: "Bread needs " }]),
    );
    const said = isAnthropic ? whole.slice(0, 3) : [chunk({ content: "Bread needs " })];
    const error = isAnthropic
      ? event("error", { error: overloaded })
      : `data: ${JSON.stringify({ error: overloaded })}\n\n`;
    await plays("no-end", { events: said });
    await plays("error-event", { events: [...said, error] });
    for (const name of ["cut", "no-end", "error-event"]) {
      const got = await read({ model: model(name), prompt: PROMPT, maxRetries: 0 });
      expect(got.errors.length, `${name} ended without an error, as ${got.reason}`);
      expect(["error", "other", undefined].includes(got.reason), `${name} ended as ${got.reason}`);
    }
    const failed = () => generateText({ model: model("cut"), prompt: PROMPT, maxRetries: 0 });
    equal((await raises(APICallError, failed)).statusCode, 502, "status");
  });
}

export async function a_busy_upstream_keeps_its_headers() {
  await withEach(async ({ wire, model }) => {
    const options = { model: model("busy"), prompt: PROMPT, maxRetries: 0 };
    const error = await raises(APICallError, () => generateText(options));
    equal([error.statusCode, error.isRetryable], [429, true], "status");
    equal(error.responseHeaders["retry-after"], "7", "retry-after");
    equal((await read(options)).errors[0].statusCode, 429, "status of the stream");
    equal(wire.calls.length, 2, "requests that the SDK made");
  });
}

export async function image_and_cache_options_pass_verbatim() {
  await withEach(async ({ wire, model }) => {
    const image = new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13]);
    const text = { type: "text", text: PROMPT };
    const anthropic = { cacheControl: { type: "ephemeral" } };
    const content = [
      { type: "image", image, mediaType: "image/png" },
      { ...text, providerOptions: { anthropic } },
    ];
    const tools = { weather: weather() };
    const messages = [{ role: "user", content }];
    const options = {
      model: model("normal"),
      messages,
      tools,
      toolChoice: "auto",
      seed: 7,
      topP: 0.9,
    };
    const [answer, seen] = await forwarded(() => generateText(options));
    equal(answer.text, ANSWER, "text");
    equal(seen[0].body, wire.last.body, "bytes that the upstream got");
    holds(wire.last.headers.get("x-portcullis-coverage"), "partial");
  });
}

const reasoning = ({ parts }) =>
  parts.map((one) => (one.type === "reasoning-delta" ? one.text : "")).join("");
