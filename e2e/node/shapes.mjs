// Answers of an upstream for the cases that write their own, in both dialects.

const usage = { prompt_tokens: 9, completion_tokens: 9, total_tokens: 18 };

/** A chat completion of these choices: `[{message, finish_reason?, logprobs?}]`. */
export function completion(...choices) {
  const whole = (choice, index) => ({ index, logprobs: null, finish_reason: "stop", ...choice });
  const head = { id: "chatcmpl-e2e", object: "chat.completion", created: 1700000000, model: "e2e" };
  return { ...head, choices: choices.map(whole), usage };
}

export function reply(content, more = {}) {
  return { message: { role: "assistant", content, refusal: null, ...more } };
}

/** One event of a chat completion's stream. */
export function chunk(delta, finish_reason = null, index = 0, more = {}) {
  const choices = [{ index, delta, logprobs: null, finish_reason }];
  const head = { id: "chatcmpl-e2e", object: "chat.completion.chunk", created: 1700000000 };
  return data({ ...head, model: "e2e", choices, ...more });
}

export const DONE = "data: [DONE]\n\n";

export function data(value) {
  return `data: ${JSON.stringify(value)}\n\n`;
}

export function toolCall(id, name, given) {
  return { id, type: "function", function: { name, arguments: JSON.stringify(given) } };
}

/** A message of these content blocks. */
export function message(content, stop_reason) {
  const head = { id: "msg_e2e", type: "message", role: "assistant", model: "e2e" };
  const counts = { input_tokens: 9, output_tokens: 9 };
  return { ...head, content, stop_reason, stop_sequence: null, usage: counts };
}

/** One event of a message's stream. */
export function event(type, more) {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}\n\n`;
}

/** The events of one block: `[{type, ...}]` deltas on top of its empty start. */
export function block(index, content_block, deltas) {
  return [
    event("content_block_start", { index, content_block }),
    ...deltas.map((delta) => event("content_block_delta", { index, delta })),
    event("content_block_stop", { index }),
  ];
}

/** A whole stream around these blocks' events. */
export function stream(events, stop_reason = "end_turn") {
  const delta = { stop_reason, stop_sequence: null };
  return [
    event("message_start", { message: message([], null) }),
    ...events,
    event("message_delta", { delta, usage: { output_tokens: 9 } }),
    event("message_stop", {}),
  ];
}
