import { rebalanceStorm } from "./rebalance.ts";

/** What run.mjs bundles and starts with `--rebalance`: `rebalance-cli.js <first seed> <step> <how many seeds>`. */
const [first = "1", step = "1", count = "1"] = process.argv.slice(2);

const began = performance.now();
let failed = 0;
const total = { joins: 0, changes: 0, sent: 0 };
for (let done = 0, seed = Number(first); done < Number(count); done++, seed += Number(step)) {
  const { verdicts, joins, changes, sent } = await rebalanceStorm(seed);
  total.joins += joins;
  total.changes += changes;
  total.sent += sent;
  if ((done + 1) % 50 === 0) console.log(`${done + 1} seeds after ${Math.round((performance.now() - began) / 1000)} s, ${failed} failed before this one`);
  if (verdicts.length === 0) continue;
  failed++;
  console.log([`seed ${seed}:`, ...verdicts.slice(0, 10).map(({ kind, text }) => `  ${kind}: ${text}`)].join("\n"));
}
const seconds = Math.round((performance.now() - began) / 1000);
console.log(`${count} seeds, ${failed} failed, in ${seconds} s: ${total.joins} joins, ${total.changes} times a member's queues changed, ${total.sent} messages`);
process.exitCode = failed > 0 ? 1 : 0;
