import { median, percentile } from "./statistics.ts";

export const SIDES = ["tabmq", "ceiling"] as const;
export type Side = (typeof SIDES)[number];
/** The same thing done by TabMQ and by the raw writer. */
export type Both<T> = Record<Side, T>;

const RATES = ["sends100", "sends1024", "consume"] as const;
export type Rate = (typeof RATES)[number];
const TIMES = ["lone", "trip"] as const;
export type Time = (typeof TIMES)[number];

/** Where it was measured. */
export interface Machine {
  tabmq: string;
  browser: string;
  userAgent: string;
  cores: number;
  durability: string;
  indexer: string;
}

/** What one run has found; this is what "Copy as JSON" gives. */
export interface Report extends Machine {
  /** ISO 8601, the end of the run. */
  at: string;
  rounds: number;
  /** Messages a second: the median of the rounds, and each round. */
  rates: Record<Rate, Both<{ median: number; rounds: number[] }>>;
  /** ms, of all rounds together. */
  times: Record<Time, Both<{ p50: number; p99: number; samples: number }>>;
}

export type Measured = Record<Rate | Time, Both<number[]>>;

export function nothingMeasured(): Measured {
  const none = (): Both<number[]> => ({ tabmq: [], ceiling: [] });
  return { sends100: none(), sends1024: none(), consume: none(), lone: none(), trip: none() };
}

export function reportOf(machine: Machine, measured: Measured, rounds: number): Report {
  const rate = (values: number[]) => ({ median: Math.round(median(values)), rounds: values.map(Math.round) });
  const time = (values: number[]) => ({ p50: thousandths(percentile(values, 0.5)), p99: thousandths(percentile(values, 0.99)), samples: values.length });
  const both = <T>(values: Both<number[]>, of: (values: number[]) => T): Both<T> => ({ tabmq: of(values.tabmq), ceiling: of(values.ceiling) });
  return {
    ...machine,
    at: new Date().toISOString(),
    rounds,
    rates: { sends100: both(measured.sends100, rate), sends1024: both(measured.sends1024, rate), consume: both(measured.consume, rate) },
    times: { lone: both(measured.lone, time), trip: both(measured.trip, time) },
  };
}

/** One line of the table, one pair of bars. */
export interface Row {
  id: `${Rate}` | `${Time}.p50` | `${Time}.p99`;
  unit: "rate" | "time";
  values: Both<number>;
}

export function rowsOf({ rates, times }: Report): Row[] {
  return [
    ...RATES.map((id): Row => ({ id, unit: "rate", values: { tabmq: rates[id].tabmq.median, ceiling: rates[id].ceiling.median } })),
    ...TIMES.flatMap((id) => (["p50", "p99"] as const).map((part): Row => ({ id: `${id}.${part}`, unit: "time", values: { tabmq: times[id].tabmq[part], ceiling: times[id].ceiling[part] } }))),
  ];
}

/** "Chromium 156, Linux", as far as the browser tells. */
export function browserName(userAgent: string): string {
  const known: readonly (readonly [string, RegExp])[] = [
    ["Edge", /Edg\/(\d+)/], ["Firefox", /Firefox\/(\d+)/], ["Chromium", /(?:Headless)?Chrom(?:e|ium)\/(\d+)/], ["Safari", /Version\/([\d.]+).*Safari/],
  ];
  const systems: readonly (readonly [string, RegExp])[] = [["Android", /Android/], ["iOS", /iPhone|iPad/], ["Windows", /Windows/], ["macOS", /Mac OS X/], ["ChromeOS", /CrOS/], ["Linux", /Linux/]];
  const version = known.flatMap(([name, pattern]) => (pattern.test(userAgent) ? [`${name} ${pattern.exec(userAgent)![1]}`] : []))[0];
  const system = systems.find(([, pattern]) => pattern.test(userAgent))?.[0];
  return [version ?? userAgent, system].filter((part) => part !== undefined).join(", ");
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}
