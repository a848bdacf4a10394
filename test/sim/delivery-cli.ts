import { delivery, describe } from "./delivery/delivery.ts";

/** What run.mjs bundles and starts with `--delivery`: `delivery-cli.js <first seed> <step> <how many seeds> "" <print the history from this ms on>`. */
const [first = "1", step = "1", count = "1", , eventsFrom = ""] = process.argv.slice(2);

const began = performance.now();
let failed = 0;
const total = { timed: 0, "recall answered": 0, begun: 0, stored: 0, fault: 0 };
for (let done = 0, seed = Number(first); done < Number(count); done++, seed += Number(step)) {
  const run = await delivery(seed);
  for (const entry of run.history) {
    const { at, type } = entry;
    if (eventsFrom !== "" && at >= Number(eventsFrom)) console.log(JSON.stringify(entry));
    if (type in total) total[type as keyof typeof total]++;
  }
  if ((done + 1) % 50 === 0) console.log(`${done + 1} seeds after ${Math.round((performance.now() - began) / 1000)} s, ${failed} failed before this one`);
  if (run.verdicts.length === 0) continue;
  failed++;
  console.log(describe(run));
}
const seconds = Math.round((performance.now() - began) / 1000);
console.log(`${count} seeds from ${first}, ${failed} failed, in ${seconds} s: ${total.timed} timers, ${total["recall answered"]} recalls, ${total.begun} transactions, ${total.stored} records stored, ${total.fault} faults`);
process.exitCode = failed > 0 ? 1 : 0;
