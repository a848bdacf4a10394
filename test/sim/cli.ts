import { describe } from "./report.ts";
import { simulate } from "./simulate.ts";

/** What run.mjs bundles and starts: `cli.js <first seed> <step> <minutes, or nothing for one seed> <print events from this ms on>`. */
const [first = "1", step = "1", minutes = "", events = "", hash = ""] = process.argv.slice(2);

const until = performance.now() + Number(minutes) * 60_000;
const before = process.cpuUsage();
const began = performance.now();
const paces: Record<string, number> = {};
let seeds = 0;
let failed = 0;
let simulated = 0;
let happened = 0;

process.on("unhandledRejection", (error) => {
  console.error(`an unhandled rejection in seed ${current}:`, error);
  process.exit(1);
});

let current = Number(first);
for (; ; current += Number(step)) {
  const onEvent = (at: number, agent: string, label: string): void => {
    if (events !== "" && at >= Number(events)) console.log(at.toFixed(3), agent, label);
  };
  const run = await simulate(current, { onEvent });
  if (hash !== "") {
    console.log(run.hash);
    process.exit();
  }
  seeds++;
  simulated += run.simulated;
  happened += run.events;
  paces[run.plan.pace] = (paces[run.plan.pace] ?? 0) + run.simulated / 3_600_000;
  if (run.verdicts.length > 0) {
    failed++;
    console.log(describe(run));
  }
  if (minutes === "" || performance.now() >= until) break;
}

const real = (performance.now() - began) / 60_000;
const cpu = process.cpuUsage(before);
const used = (cpu.user + cpu.system) / 60_000_000;
const hours = simulated / 3_600_000;
const byPace = Object.entries(paces).map(([pace, share]) => `${pace} ${share.toFixed(1)}`).join(", ");
console.log(
  `${seeds} seeds, ${failed} failed; ${hours.toFixed(1)} simulated hours (${byPace}), ${happened} events in ${real.toFixed(2)} min: ` +
    `${(hours / real).toFixed(0)} hours a real minute, ${(hours / used).toFixed(0)} a processor minute, ${(happened / used / 60).toFixed(0)} events a processor second`,
);
process.exitCode = failed > 0 ? 1 : 0;
