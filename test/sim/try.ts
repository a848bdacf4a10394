import { simulate } from "./simulate.ts";
const from = Number(process.env.SEED ?? 1);
const count = Number(process.env.COUNT ?? 1);
process.on("unhandledRejection", (e) => { console.log("UNHANDLED", e); process.exit(3); });
let sim = 0, bad = 0; const t0 = process.cpuUsage().user / 1000; let ev = 0;
for (let seed = from; seed < from + count; seed++) {
  const t = process.cpuUsage().user / 1000;
  const run = await simulate(seed, process.env.EVENTS ? { onEvent: (t, a, l) => { if (t > Number(process.env.EVENTS)) console.log(t.toFixed(2), a, l); } } : {});
  sim += run.simulated; ev += run.events;
  const counts: Record<string, number> = {};
  for (const e of run.history) counts[e.type] = (counts[e.type] ?? 0) + 1;
  const took = process.cpuUsage().user / 1000 - t;
  if (count < 20 || run.verdicts.length) console.log(seed, run.plan.pace, Math.round(run.simulated / 1000), "s", run.events, "ev", Math.round(took), "ms", run.hash, JSON.stringify(counts));
  const kinds: Record<string, number> = {};
  for (const v of run.verdicts) kinds[v.kind] = (kinds[v.kind] ?? 0) + 1;
  if (run.verdicts.length) { bad++; console.log("  !!", JSON.stringify(kinds)); for (const v of run.verdicts.slice(0, Number(process.env.SHOW ?? 4))) console.log("    ", v.kind, v.text); }
  if (process.env.DUMP) { const fs = await import("node:fs"); fs.writeFileSync(process.env.DUMP, JSON.stringify(run.plan) + "\n" + run.history.map((e) => JSON.stringify(e)).join("\n")); }
}
const s = (process.cpuUsage().user / 1000 - t0) / 1000;
console.log(`${count} seeds, ${bad} bad, ${(sim / 3.6e6).toFixed(1)} h in ${s.toFixed(1)} s = ${(sim / 3.6e6 / s * 60).toFixed(0)} h/min, ${(ev / s).toFixed(0)} events/s`);
