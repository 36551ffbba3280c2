// What the cases of the npm package `openai` share.

import OpenAI from "openai";
import * as world from "./world.mjs";
import { BAD, PROMPT, Wire, collect } from "./world.mjs";

export const SYSTEM = { role: "system", content: "You are a baker." };
export const PLAIN = [SYSTEM, { role: "user", content: PROMPT }];
export const REFUSED = [{ role: "user", content: BAD }];
export const AGAIN = { role: "user", content: "And how do I bake rolls?" };
const PARAMETERS = { type: "object", properties: { city: { type: "string" } } };
export const WEATHER = { type: "function", function: { name: "weather", parameters: PARAMETERS } };

/** A caller; `maxRetries` stays at the SDK's own, so that a retry after a refusal is seen. */
export function caller(options = {}) {
  const wire = new Wire();
  const sdk = new OpenAI({
    apiKey: wire.key,
    baseURL: `${world.gate}/v1`,
    fetch: wire.fetch,
    timeout: 10_000,
    ...options,
  });
  const create = (model, messages, more) =>
    sdk.chat.completions.create({ model, messages, ...more });
  return { wire, sdk, create };
}

/** What a reader of a stream has in the end. */
export async function read(stream) {
  const chunks = await collect(stream);
  const choices = chunks.flatMap((one) => one.choices);
  const joined = (field, index = 0) =>
    choices.map((one) => (one.index === index && one.delta[field]) || "").join("");
  const ends = choices.filter((one) => one.finish_reason).map((one) => one.finish_reason);
  return { chunks, choices, joined, ends, content: joined("content"), refusal: joined("refusal") };
}
