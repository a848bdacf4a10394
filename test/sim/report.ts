import type { Run } from "./simulate.ts";

const VERDICTS = 10;
const TAIL = 30;

/** What whoever sees a red run needs: the seed, how to see it again, what was found, and what happened last. */
export function describe({ seed, plan, verdicts, history }: Run): string {
  const more = verdicts.length > VERDICTS ? [`  … and ${verdicts.length - VERDICTS} more`] : [];
  const rest = history.filter(({ type }) => type !== "rest");
  return [
    `seed ${seed}: npm run test:sim -- --seed ${seed}`,
    ...verdicts.slice(0, VERDICTS).map(({ kind, text }) => `  ${kind}: ${text}`),
    ...more,
    `  plan: ${JSON.stringify(plan)}`,
    `  the last ${TAIL} of ${history.length} entries of the history:`,
    ...rest.slice(-TAIL).map((entry) => `  ${JSON.stringify(entry).slice(0, 240)}`),
  ].join("\n");
}
