// What an application sees through the npm package `@langchain/openai`. Nothing of the package is
// replaced. Every exported function is a case.

import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { DONE, chunk, completion, data, reply } from "./shapes.mjs";
import * as world from "./world.mjs";
import { ANSWER, BAD, FORBIDDEN, PROMPT, REDACTED, Wire } from "./world.mjs";
import { collect, equal, forwarded, hides, holds, plays, raises } from "./world.mjs";

const SYSTEM = new SystemMessage("You are a baker.");
const PLAIN = [SYSTEM, new HumanMessage(PROMPT)];
const REFUSED = [new HumanMessage(BAD)];
const AGAIN = new HumanMessage("And how do I bake rolls?");

/** A caller; `maxRetries` stays at the SDK's own, so that a retry after a refusal is seen. */
function caller() {
  const wire = new Wire();
  const configuration = { baseURL: `${world.gate}/v1`, fetch: wire.fetch };
  const chat = (model, more) => new ChatOpenAI({ model, apiKey: wire.key, configuration, ...more });
  return { wire, chat };
}

const weather = tool(async () => "Sunny, 21 degrees.", {
  name: "weather",
  description: "The weather.",
  schema: z.object({ city: z.string() }),
});

/** A stream read to its end: its pieces, and the message they make. */
async function read(runnable, messages) {
  const pieces = await collect(await runnable.stream(messages));
  return { pieces, whole: pieces.reduce((left, right) => left.concat(right)) };
}

const reason = (answer) => answer.response_metadata.finish_reason;

export async function invoke_gives_the_answer() {
  const { wire, chat } = caller();
  const [answer, seen] = await forwarded(() => chat("normal").invoke(PLAIN));
  equal([answer.content, reason(answer)], [ANSWER, "stop"], "answer");
  equal(answer.usage_metadata.output_tokens, 9, "usage");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
  wire.says("allow", "full");
}

export async function stream_gives_the_chunks_and_usage() {
  const { wire, chat } = caller();
  const { pieces, whole } = await read(chat("normal"), PLAIN);
  const texts = pieces.map((piece) => piece.content).filter(Boolean);
  equal(texts, world.normal, "chunks");
  equal([whole.content, reason(whole)], [ANSWER, "stop"], "answer");
  equal(whole.usage_metadata.total_tokens, 18, "usage");
  wire.says("allow", "pending");
}

export async function refused_prompt_is_a_content_filter_and_no_error() {
  const { wire, chat } = caller();
  const [answer, seen] = await forwarded(() => chat("normal").invoke(REFUSED));
  equal(seen, [], "requests that reached the upstream");
  equal([answer.content, reason(answer)], ["", "content_filter"], "answer");
  wire.says("block", "full");
}

export async function refused_prompt_of_a_stream_is_a_content_filter() {
  const { wire, chat } = caller();
  const [{ whole }, seen] = await forwarded(() => read(chat("normal"), REFUSED));
  equal(seen, [], "requests that reached the upstream");
  equal([whole.content, reason(whole)], ["", "content_filter"], "answer");
  wire.says("block", "full");
}

export async function refused_answer_is_a_content_filter() {
  const { wire, chat } = caller();
  const answer = await chat("harmful").invoke(PLAIN);
  equal([answer.content, reason(answer)], ["", "content_filter"], "answer");
  hides(JSON.stringify(answer), ...FORBIDDEN);
  wire.says("block", "full");
}

export async function refused_mid_stream_ends_as_a_content_filter() {
  const { wire, chat } = caller();
  const [{ pieces, whole }, seen] = await forwarded(() => read(chat("harmful"), PLAIN));
  hides(JSON.stringify(pieces), ...FORBIDDEN);
  equal(reason(whole), "content_filter", "finish_reason");
  wire.says("allow", "pending");
  await world.isCancelled(seen[0]);
}

export async function conversation_goes_on_after_refusals() {
  // This package keeps no refusal: an empty answer comes back in its place.
  const { chat } = caller();
  const messages = [...PLAIN];
  messages.push(await chat("normal").invoke(messages), ...REFUSED);
  messages.push(await chat("normal").invoke(messages), AGAIN);
  const [answer, seen] = await forwarded(() => chat("normal").invoke(messages));
  equal([answer.content, reason(answer)], [ANSWER, "stop"], "answer");
  hides(seen[0].body, "nightfall", world.clause);
  messages.push(answer, AGAIN);
  messages.push((await read(chat("harmful"), messages)).whole, AGAIN);
  const [last, then] = await forwarded(() => chat("normal").invoke(messages));
  equal(last.content, ANSWER, "answer after a refused stream");
  hides(then[0].body, "nightfall", world.clause);
}

export async function reset_is_answered_here_and_kept_to() {
  const { chat } = caller();
  const messages = [...PLAIN, new AIMessage("Earlier words."), new HumanMessage("/reset-ai")];
  const [said, nothing] = await forwarded(() => chat("normal").invoke(messages));
  equal(nothing, [], "requests that reached the upstream");
  holds(said.content, "no longer used");
  const [, seen] = await forwarded(() => chat("normal").invoke([...messages, said, AGAIN]));
  const kept = seen[0].json.messages.map((one) => one.content);
  equal(kept, [SYSTEM.content, AGAIN.content], "turns that the upstream got");
}

export async function card_numbers_are_redacted_both_ways() {
  const { wire, chat } = caller();
  const messages = [new HumanMessage(`My card is ${world.card}, what now?`)];
  const [answer, seen] = await forwarded(() => chat("card").invoke(messages));
  equal(answer.content, REDACTED, "answer");
  equal(seen[0].json.messages[0].content, "My card is [redacted], what now?", "prompt");
  wire.says("redact", "full");
  const { whole } = await read(chat("card"), messages);
  equal([whole.content, reason(whole)], [REDACTED, "stop"], "streamed answer");
}

export async function tools_work_there_and_back() {
  const { wire, chat } = caller();
  const { whole: called } = await read(chat("tool").bindTools([weather]), PLAIN);
  equal(called.tool_calls[0].args, { city: "Vienna" }, "arguments of the stream");
  const answer = await chat("tool").bindTools([weather]).invoke(PLAIN);
  equal([answer.tool_calls[0].args, reason(answer)], [{ city: "Vienna" }, "tool_calls"], "answer");
  const result = await weather.invoke(answer.tool_calls[0]);
  const ask = () =>
    chat("normal")
      .bindTools([weather])
      .invoke([...PLAIN, answer, result]);
  const [last, seen] = await forwarded(ask);
  equal(last.content, ANSWER, "last answer");
  equal(seen[0].body, wire.last.body, "bytes that the upstream got");
  const bad = new ToolMessage({ tool_call_id: "call_1", content: `Sunny. Also: ${world.secret}.` });
  const [refused, nothing] = await forwarded(() => chat("normal").invoke([...PLAIN, answer, bad]));
  equal(reason(refused), "content_filter", "finish_reason of a bad result");
  equal(nothing, [], "requests that reached the upstream");
}

export async function structured_output_is_parsed_and_redacted() {
  const { chat } = caller();
  const shape = z.object({ bread: z.string(), card: z.string() });
  const text = JSON.stringify({ bread: "rye", card: world.card });
  await plays("loaf", { whole: completion(reply(text)) });
  const model = chat("loaf").withStructuredOutput(shape, { name: "loaf", method: "jsonSchema" });
  equal(await model.invoke(PLAIN), { bread: "rye", card: "[redacted]" }, "object");
  // At `content_filter` the package throws, and by its own rule would ask again for minutes.
  const bad = chat("normal", { maxRetries: 0 }).withStructuredOutput(shape, {
    name: "loaf",
    method: "jsonSchema",
  });
  const error = await raises(Error, () => bad.invoke(REFUSED));
  hides(error.message, "nightfall");
  holds(error.message, "content filter");
}

export async function several_answers_at_once_are_each_screened() {
  const { chat } = caller();
  await plays("pair", { whole: completion(reply("Good bread."), reply(`It is ${world.secret}.`)) });
  const { generations } = await chat("pair", { n: 2 }).generate([PLAIN]);
  hides(JSON.stringify(generations), "nightfall");
  const ends = generations[0].map((one) => one.generationInfo.finish_reason);
  equal(ends, ["content_filter", "content_filter"], "finish_reason");
}

export async function abort_in_mid_stream_cancels_the_upstream() {
  const { chat } = caller();
  const lines = Array.from({ length: 400 }, (_, idx) => chunk({ content: `Loaf ${idx}. ` }));
  await plays("endless", { events: [...lines, chunk({}, "stop"), DONE] });
  const [, seen] = await forwarded(async () => {
    for await (const piece of await chat("endless").stream(PLAIN)) {
      if (piece.content) break;
    }
  });
  await world.isCancelled(seen[0]);
}

export async function cut_streams_are_never_a_clean_end() {
  const { chat } = caller();
  const said = chunk({ content: "Bread needs " });
  const overloaded = data({ error: { message: "overloaded", type: "server_error", code: null } });
  await plays("no-end", { events: [said] });
  await plays("error-event", { events: [said, overloaded] });
  for (const model of ["cut", "no-end", "error-event"]) {
    await raises(Error, () => read(chat(model, { maxRetries: 0 }), PLAIN));
  }
  const error = await raises(Error, () => chat("cut", { maxRetries: 0 }).invoke(PLAIN));
  equal(error.status, 502, "status");
}

export async function a_busy_upstream_keeps_its_headers() {
  const { wire, chat } = caller();
  const error = await raises(Error, () => chat("busy", { maxRetries: 0 }).invoke(PLAIN));
  equal([error.status, error.headers.get("retry-after")], [429, "7"], "status and retry-after");
  await raises(Error, () => read(chat("busy", { maxRetries: 0 }), PLAIN));
  equal(wire.calls.length, 2, "requests that the SDK made");
}
