import type { Prng } from "../prng.ts";

export interface DeliveryPlan {
  tabs: number;
  queues: number;
  /** How long the world is disturbed, ms. */
  duration: number;
  /** Between two acts of one actor on average, ms; 0 = there is no such actor. */
  timers: number;
  transactions: number;
  transforms: number;
  orders: number;
  /** Of those that wait for their time: probability that somebody calls it back. */
  recalls: number;
  /** How long the longest waits, ms. */
  longestDelay: number;
  /** How often a listener fails, a local transaction throws or leaves it open. */
  fails: number;
  /** How long work takes on average, ms. */
  work: number;
  batchSize: number;
  orderly: boolean;
  /** Between two of a kind on average, ms; 0 = there are none. */
  hostKills: number;
  tabCrashes: number;
  /** All tabs and the host at once: the browser is closed, and started again later. */
  blackouts: number;
  clockJumps: number;
  commitFails: number;
  commitMisreported: number;
  diskLatency: number;
  messageLatency: number;
}

/** Each seed draws who acts and what happens to them; some worlds are calm, so that less is excused. */
export function planOf(random: Prng): DeliveryPlan {
  const often = (probability: number, least: number, most: number): number => (random.chance(probability) ? random.between(least, most) : 0);
  return {
    tabs: random.integer(1, 3),
    queues: random.integer(1, 3),
    duration: random.between(2_000, 6_000),
    timers: often(0.7, 30, 200),
    transactions: often(0.7, 50, 300),
    transforms: often(0.7, 50, 200),
    orders: often(0.5, 50, 300),
    recalls: random.pick([0, 0.3, 0.7]),
    longestDelay: random.pick([50, 1_000, 6_000]),
    fails: random.pick([0, 0.15, 0.4]),
    work: random.pick([1, 30]),
    batchSize: random.pick([1, 1, 3]),
    orderly: random.chance(0.3),
    hostKills: often(0.5, 300, 2_000),
    tabCrashes: often(0.4, 500, 3_000),
    blackouts: often(0.2, 2_000, 5_000),
    clockJumps: often(0.15, 500, 2_000),
    commitFails: random.pick([0, 0, 0.02]),
    commitMisreported: random.pick([0, 0, 0.02]),
    diskLatency: random.pick([1, 5, 30]),
    messageLatency: random.pick([0.2, 2, 10]),
  };
}
