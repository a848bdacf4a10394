import { consumption, describe } from "./consumption/consumption.ts";

/** What run.mjs bundles and starts with `--consumers`: `consumption-cli.js <first seed> <step> <how many seeds> "" <print the history from this ms on>`. */
const [first = "1", step = "1", count = "1", , eventsFrom = ""] = process.argv.slice(2);

const began = performance.now();
let failed = 0;
const total = { given: 0, resets: 0, deaths: 0 };
for (let done = 0, seed = Number(first); done < Number(count); done++, seed += Number(step)) {
  const run = await consumption(seed);
  for (const entry of run.history) {
    const { at, type } = entry;
    if (eventsFrom !== "" && at >= Number(eventsFrom)) console.log(JSON.stringify(entry));
    if (type === "claimed" || type === "delivered") total.given++;
    if (type === "reset answered") total.resets++;
    if (type === "fault") total.deaths++;
  }
  if ((done + 1) % 50 === 0) console.log(`${done + 1} seeds after ${Math.round((performance.now() - began) / 1000)} s, ${failed} failed before this one`);
  if (run.verdicts.length === 0) continue;
  failed++;
  console.log(describe(run));
}
const seconds = Math.round((performance.now() - began) / 1000);
console.log(`${count} seeds from ${first}, ${failed} failed, in ${seconds} s: ${total.given} messages given, groups moved ${total.resets} times, ${total.deaths} tabs and workers died`);
process.exitCode = failed > 0 ? 1 : 0;
