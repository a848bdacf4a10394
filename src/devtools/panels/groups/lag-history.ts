import { useRef } from "preact/hooks";
import type { ConsumeStats } from "../../../index.ts";

export interface LagSample {
  /** ms */
  at: number;
  /** topic -> backlog */
  lags: ReadonlyMap<string, number>;
}

/** Half an hour, asked every other second. */
const MOST_SAMPLES = 900;
/** Lines that are told apart; of more topics the largest have their own. */
const MOST_LINES = 6;

/** The backlogs that were seen since the group is looked at: the broker remembers none. */
export function useLagHistory(stats: ConsumeStats): readonly LagSample[] {
  const samples = useRef<readonly LagSample[]>([]);
  const last = useRef<ConsumeStats | null>(null);
  if (last.current !== stats) {
    last.current = stats;
    const lags = new Map<string, number>();
    for (const { topic, diff } of stats.queues) lags.set(topic, (lags.get(topic) ?? 0) + diff);
    samples.current = [...samples.current.slice(-MOST_SAMPLES + 1), { at: Date.now(), lags }];
  }
  return samples.current;
}

export interface LagLine {
  /** Undefined: all topics that have no line of their own, together. */
  topic: string | undefined;
  values: (number | null)[];
}

/** A line for each topic. `pause`: from a longer silence on the line is broken. */
export function lagLines(samples: readonly LagSample[], pause: number): { times: number[]; lines: LagLine[] } {
  const points: (LagSample | { at: number; lags: null })[] = [];
  for (const sample of samples) {
    const before = points.at(-1)?.at;
    // The page was hidden, or the broker away: nobody knows what was then.
    if (before !== undefined && sample.at - before > pause) points.push({ at: before + 1, lags: null });
    points.push(sample);
  }
  const latest = samples.at(-1)?.lags ?? new Map<string, number>();
  const topics = [...latest.keys()].sort();
  const bySize = [...topics].sort((a, b) => latest.get(b)! - latest.get(a)!);
  const own = new Set(topics.length > MOST_LINES ? bySize.slice(0, MOST_LINES - 1) : topics);
  const rest = topics.filter((topic) => !own.has(topic));
  const line = (names: readonly string[]): (number | null)[] =>
    points.map(({ lags }) => (lags === null || !names.some((name) => lags.has(name)) ? null : names.reduce((sum, name) => sum + (lags.get(name) ?? 0), 0)));
  const lines: LagLine[] = topics.filter((topic) => own.has(topic)).map((topic) => ({ topic, values: line([topic]) }));
  if (rest.length > 0) lines.push({ topic: undefined, values: line(rest) });
  return { times: points.map(({ at }) => at), lines };
}
