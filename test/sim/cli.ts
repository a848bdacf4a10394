import { describe } from "./report.ts";
import { simulate } from "./simulate.ts";

/** What run.mjs bundles and starts: `cli.js <first seed> <step> <how many seeds, at least> <for how many minutes> <print events from this ms on>`. */
const [first = "1", step = "1", count = "1", minutes = "", eventsFrom = "", hash = ""] = process.argv.slice(2);

const until = performance.now() + Number(minutes) * 60_000;
const began = performance.now();
/** Of all runs of one pace: simulated hours, processor seconds, events. */
const paces = new Map<string, { hours: number; seconds: number; events: number }>();
let seeds = 0;
let failed = 0;
const merges = { rows: 0, blocks: 0 };
const cuts = { worlds: 0, count: 0 };
const used = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000_000;
};

process.on("unhandledRejection", (error) => {
  console.error(`an unhandled rejection in seed ${current}:`, error);
  process.exit(1);
});

let current = Number(first);
for (; ; current += Number(step)) {
  const onEvent = (at: number, agent: string, label: string): void => {
    if (eventsFrom !== "" && at >= Number(eventsFrom)) console.log(at.toFixed(3), agent, label);
  };
  const before = used();
  const run = await simulate(current, { onEvent });
  if (hash !== "") {
    console.log(run.hash());
    process.exit();
  }
  seeds++;
  const pace = paces.get(run.plan.pace) ?? { hours: 0, seconds: 0, events: 0 };
  paces.set(run.plan.pace, pace);
  pace.hours += run.simulated / 3_600_000;
  pace.seconds += used() - before;
  pace.events += run.events;
  merges.rows += run.merges.rows;
  merges.blocks += run.merges.blocks;
  cuts.worlds += Number(run.cuts > 0);
  cuts.count += run.cuts;
  if (run.verdicts.length > 0) {
    failed++;
    console.log(describe(run));
  }
  if (seeds >= Number(count) && performance.now() >= until) break;
}

const all = { hours: 0, seconds: 0, events: 0 };
for (const pace of paces.values()) {
  all.hours += pace.hours;
  all.seconds += pace.seconds;
  all.events += pace.events;
}
for (const [name, { hours, seconds, events }] of [...paces, ["all", all] as const]) {
  console.log(`${name}: ${hours.toFixed(1)} simulated hours in ${seconds.toFixed(1)} processor seconds, ${((hours / seconds) * 60).toFixed(0)} a minute; ${(events / seconds).toFixed(0)} events a second`);
}
console.log(`${merges.rows} rows of the log were merged into ${merges.blocks}; it was cut ${cuts.count} times, in ${cuts.worlds} worlds`);
const real = (performance.now() - began) / 60_000;
console.log(`${seeds} seeds, ${failed} failed; ${all.hours.toFixed(1)} simulated hours in ${real.toFixed(2)} min, ${(all.hours / real).toFixed(0)} a real minute`);
process.exitCode = failed > 0 ? 1 : 0;
