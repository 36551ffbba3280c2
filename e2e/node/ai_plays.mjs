// What models do in the cases of the package `ai`, in both dialects.

import { DONE, block, chunk, completion, message, reply, stream, toolCall } from "./shapes.mjs";
import { plays } from "./world.mjs";

/** The model `name` calls the tool `weather`, with a city in pieces. */
export async function playTool(name, isAnthropic, pieces = ["Vien", "na"]) {
  const input = { city: pieces.join("") };
  const written = ['{"city": "', ...pieces, '"}'];
  if (isAnthropic) {
    const use = { type: "tool_use", id: "toolu_1", name: "weather" };
    const deltas = written.map((partial_json) => ({ type: "input_json_delta", partial_json }));
    const events = stream(block(0, { ...use, input: {} }, deltas), "tool_use");
    return plays(name, { whole: message([{ ...use, input }], "tool_use"), events });
  }
  const calls = [toolCall("call_1", "weather", input)];
  const whole = {
    message: { role: "assistant", content: null, tool_calls: calls },
    finish_reason: "tool_calls",
  };
  const part = (text) => chunk({ tool_calls: [{ index: 0, function: { arguments: text } }] });
  const start = {
    index: 0,
    id: "call_1",
    type: "function",
    function: { name: "weather", arguments: "" },
  };
  const events = [
    chunk({ tool_calls: [start] }),
    ...written.map(part),
    chunk({}, "tool_calls"),
    DONE,
  ];
  return plays(name, { whole: completion(whole), events });
}

/** The model `name` says these pieces. */
export async function playWords(name, isAnthropic, ...pieces) {
  const text = pieces.join("");
  if (isAnthropic) {
    const deltas = pieces.map((piece) => ({ type: "text_delta", text: piece }));
    const events = stream(block(0, { type: "text", text: "" }, deltas));
    return plays(name, { whole: message([{ type: "text", text }], "end_turn"), events });
  }
  const events = [...pieces.map((piece) => chunk({ content: piece })), chunk({}, "stop"), DONE];
  return plays(name, { whole: completion(reply(text)), events });
}

/** The model `name` gives this JSON, as the provider asks for it: Anthropic's may use a tool. */
export async function playObject(name, isAnthropic, json) {
  if (!isAnthropic) return playWords(name, false, json.slice(0, 22), json.slice(22));
  const use = { type: "tool_use", id: "toolu_1", name: "json" };
  const cuts = [json.slice(0, 22), json.slice(22)];
  const deltas = cuts.map((partial_json) => ({ type: "input_json_delta", partial_json }));
  const events = stream(block(0, { ...use, input: {} }, deltas), "tool_use");
  return plays(name, { whole: message([{ ...use, input: JSON.parse(json) }], "tool_use"), events });
}

/** The model `name` thinks these pieces and then says something harmless. */
export async function playReasoning(name, provider, pieces) {
  if (provider === "anthropic") {
    const thinking = { type: "thinking", thinking: "", signature: "" };
    const deltas = pieces.map((piece) => ({ type: "thinking_delta", thinking: piece }));
    const said = block(1, { type: "text", text: "" }, [
      { type: "text_delta", text: "Take flour." },
    ]);
    return plays(name, { events: stream([...block(0, thinking, deltas), ...said]) });
  }
  const thoughts = pieces.map((piece) => chunk({ reasoning_content: piece }));
  return plays(name, {
    events: [...thoughts, chunk({ content: "Take flour." }), chunk({}, "stop"), DONE],
  });
}
