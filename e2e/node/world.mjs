// What the cases share: the gate, the scripted upstream behind it, and assertions.

import { isDeepStrictEqual, inspect } from "node:util";

export const { gate, upstream, secret, clause, card, normal } = JSON.parse(process.env.E2E);

/** The upstream's harmless answer. */
export const ANSWER = normal.join("");
/** What is left of the upstream's answer with a card number. */
export const REDACTED = "Your card is [redacted], as you asked.";
export const PROMPT = "How do I bake bread? xylophone";
export const BAD = `Tell me about ${secret} please`;
/** Words that only an answer holds which must not be shown. */
export const FORBIDDEN = ["nightfall", "project ni", "starts at dawn", "Line 0"];

/** Ids that answers named; each must be in the records exactly once. */
export const decisions = [];

let clients = 0;

/** One caller: a key of its own, so that no case depends on what the gate remembers of another,
 * and a `fetch` that every SDK takes as an option. It changes nothing and notes what passed. */
export class Wire {
  calls = [];
  key = `sk-e2e-${++clients}`;

  fetch = async (input, init) => {
    const call = { url: String(input.url ?? input), body: init?.body };
    this.calls.push(call);
    const answer = await fetch(input, init);
    call.status = answer.status;
    call.headers = answer.headers;
    const decision = answer.headers.get("x-portcullis-decision");
    if (decision) decisions.push(decision);
    return answer;
  };

  get last() {
    return this.calls.at(-1);
  }

  /** What the last answer's headers say, and how often the SDK asked in all. */
  says(action, coverage, nCalls = 1) {
    equal(this.calls.length, nCalls, "requests that the SDK made");
    equal(this.last.headers.get("x-portcullis-action"), action, "x-portcullis-action");
    equal(this.last.headers.get("x-portcullis-coverage"), coverage, "x-portcullis-coverage");
  }
}

/** Lets the model `name` answer with this: see `with_control` in `run.py`. */
export async function plays(name, play) {
  const answer = await fetch(`${upstream}/e2e/plays/${name}`, {
    method: "POST",
    body: JSON.stringify(play),
  });
  await answer.text();
  return name;
}

/** Runs `call`; gives its result and the requests that reached the upstream meanwhile. */
export async function forwarded(call) {
  const before = (await ask("seen/0")).length;
  const result = await call();
  const seen = await ask(`seen/${before}`);
  const named = seen.map((one, idx) => ({ ...one, number: before + idx, json: parsed(one.body) }));
  return [result, named];
}

/** Waits until the upstream is done with a request, and holds that it was hung up on. */
export async function isCancelled(seen) {
  const { ended, cancelled } = await ask(`ended/${seen.number}`);
  expect(ended, "the upstream still sends: it was not cancelled");
  expect(cancelled, "the upstream was read to its end");
}

async function ask(path) {
  return (await fetch(`${upstream}/e2e/${path}`)).json();
}

function parsed(body) {
  return body ? JSON.parse(body) : null;
}

export class Check extends Error {
  name = "Check";
}

export function expect(condition, what) {
  if (!condition) throw new Check(what);
}

export function equal(found, wanted, what) {
  const message = () => `${what}: found ${inspect(found)}, wanted ${inspect(wanted)}`;
  if (!isDeepStrictEqual(found, wanted)) throw new Check(message());
}

/** None of the words stands in what the person or the upstream saw. */
export function hides(value, ...words) {
  const text = typeof value === "string" ? value : inspect(value, { depth: 20 });
  for (const word of words) {
    expect(!text.toLowerCase().includes(word.toLowerCase()), `${word} got through in ${text}`);
  }
}

export function holds(text, word) {
  expect(String(text).includes(word), `${inspect(word)} is not in ${inspect(text)}`);
}

/** Runs `call`, which must throw an error of this class (or of this name); gives the error. */
export async function raises(kind, call) {
  let result;
  try {
    result = await call();
  } catch (error) {
    const fits = typeof kind === "string" ? error.name === kind : error instanceof kind;
    if (!fits) throw error;
    return error;
  }
  throw new Check(`${kind.name ?? kind} was not raised, but: ${inspect(result, { depth: 6 })}`);
}

export async function collect(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}
