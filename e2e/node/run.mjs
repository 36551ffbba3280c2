// Runs the cases: every function that a `cases_*.mjs` exports is one. Started by `run.py`.
//
//     node run.mjs [WORD ...]      only those whose name holds one of the words

import { decisions } from "./world.mjs";

const MODULES = ["openai", "openai_options", "anthropic", "ai", "langchain"];
const LIMIT_MS = 15_000;
const words = process.argv.slice(2);
let failed = 0;
// Of a promise that nobody waits for: it belongs to the case that runs.
let stray = null;
process.on("unhandledRejection", (error) => (stray = error));

for (const module of MODULES) {
  const cases = await import(`./cases_${module}.mjs`);
  for (const [name, run] of Object.entries(cases)) {
    const title = `${module}.${name}`;
    if (words.length && !words.some((word) => title.includes(word))) continue;
    await report(title, run);
  }
}
for (const id of decisions) console.log(`decision ${id}`);
// Connections that an SDK keeps open must not keep the process.
process.exitCode = failed ? 1 : 0;
process.stdout.write("", () => process.exit());

async function report(title, run) {
  stray = null;
  try {
    await within(run());
    if (stray) throw stray;
    console.log(`ok    ${title}`);
  } catch (error) {
    failed += 1;
    const what = error.name === "Check" ? error.message : error.stack;
    console.log(`FAIL  ${title}: ${what}`);
  }
}

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
