import type { Prng } from "../prng.ts";

type Kind = "simple" | "concurrent" | "orderly" | "broadcasting";

/** A group, and how its members are. */
export interface Consumers {
  group: string;
  kind: Kind;
  /** All messages, or those that are tagged WANTED: by the tag, or by an expression over their properties. */
  filter: "*" | "tag" | "sql";
  members: number;
  maxReconsumeTimes: number;
  concurrency: number;
  batchSize: number;
  pullBatchSize: number;
}

export interface ConsumptionPlan {
  queues: number;
  tabs: number;
  groups: Consumers[];
  /** How long the world is disturbed, ms. */
  duration: number;
  /** Messages that are there before the first consumer. */
  backlog: number;
  /** Between two messages on average, ms. */
  gap: number;
  /** Of a body; one of ten is empty. */
  maxBytes: number;
  wanted: number;
  /** How often consuming fails, or ends without an acknowledgement. */
  fails: number;
  /** How long a listener takes on average, ms. */
  work: number;
  /** Between two of a kind on average, ms; 0 = there are none. */
  hostKills: number;
  tabCrashes: number;
  comings: number;
  resets: number;
  diskLatency: number;
  messageLatency: number;
}

/** Each seed draws two groups, their ways of consuming and what happens to them; some worlds are calm, so that less is excused. */
export function planOf(random: Prng): ConsumptionPlan {
  const often = (probability: number, least: number, most: number): number => (random.chance(probability) ? random.between(least, most) : 0);
  return {
    queues: random.integer(1, 3),
    tabs: 3,
    groups: [0, 1].map((number) => groupOf(random, `g${number}`)),
    duration: random.between(2_000, 5_000),
    backlog: random.integer(5, 30),
    gap: random.pick([50, 150]),
    maxBytes: random.pick([10, 2_000, 20_000]),
    wanted: random.pick([0.3, 0.7]),
    fails: random.pick([0, 0.15, 0.4]),
    work: random.pick([1, 30]),
    hostKills: often(0.4, 500, 2_000),
    tabCrashes: often(0.25, 1_000, 3_000),
    comings: often(0.6, 200, 1_000),
    resets: often(0.5, 500, 2_000),
    diskLatency: random.pick([1, 5]),
    messageLatency: random.pick([0.2, 2]),
  };
}

function groupOf(random: Prng, group: string): Consumers {
  const kind = random.pick(["simple", "simple", "concurrent", "orderly", "orderly", "broadcasting"] as const);
  return {
    group, kind,
    filter: random.pick(["*", "tag", "sql", "sql"] as const),
    members: random.integer(1, 3),
    maxReconsumeTimes: random.pick([0, 2, 16]),
    concurrency: random.pick([1, 3, 20]),
    batchSize: random.pick([1, 1, 4]),
    pullBatchSize: random.pick([1, 3, 32]),
  };
}
