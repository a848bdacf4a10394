import { MIN_STORE_BYTES } from "../../src/model/limits.ts";
import type { BrokerSettings } from "../../src/protocol/broker-settings.ts";
import type { Prng } from "./prng.ts";

/** What chaos may do, and how long it lasts at most. */
const DISTURBANCES = [
  "kill host", "pause host", "pause host past its lease", "steal writer lock",
  "crash tab", "freeze tab", "hide tab", "close tab", "open tab",
  "lose store", "fill quota", "slow disk", "slow messages", "throttle timers", "jump clock", "stall",
] as const;
/** Drawn by themselves, so that what a seed drew before there were these it draws still. */
const RARER = ["damage row", "lose tail", "pile up", "freeze tab for long"] as const;
export type Disturbance = (typeof DISTURBANCES)[number] | (typeof RARER)[number];

interface TopicPlan {
  topic: string;
  queues: number;
}

export interface GroupPlan {
  group: string;
  kind: "push" | "pull";
  /** topic -> tag expression */
  subscriptions: Record<string, string>;
  orderly?: boolean;
  /** By the msgId. */
  idempotent?: boolean;
}

export interface Plan {
  pace: "hectic" | "busy" | "quiet" | "idle";
  /** How long the world is disturbed, ms. */
  duration: number;
  /** Between two acts of one actor on average, ms. */
  gap: number;
  tabs: number;
  /** Versions of the app that are open at once: each has a worker of its own. */
  builds: number;
  topics: TopicPlan[];
  groups: GroupPlan[];
  /** Which disturbances, and how long between two of a kind on average, ms. */
  disturbances: Partial<Record<Disturbance, number>>;
  /** Probabilities. */
  commitFails: number;
  commitMisreported: number;
  readFails: number;
  listenerFails: number;
  /** How often a message is tried again before it is a dead letter. */
  maxReconsumeTimes: number;
  /** How long a listener takes on average, ms; 0 = it is done at once. */
  work: number;
  diskLatency: number;
  messageLatency: number;
  /** Bytes of a body at most. */
  weight: number;
  seekers: boolean;
  /** The log's bytes beyond which the oldest rows go; 0 = all stay. */
  maxStoreBytes: number;
  /** How long messages are kept at least, ms; 0 = as long as usual. */
  fileReservedTime: number;
  /** What tabs ask for besides. */
  settings?: Partial<BrokerSettings>;
}

const HOUR = 3_600_000;

const PACES = {
  hectic: { duration: [10_000, 60_000], gap: [30, 500] },
  busy: { duration: [5 * 60_000, 20 * 60_000], gap: [1_000, 10_000] },
  quiet: { duration: [1 * HOUR, 4 * HOUR], gap: [60_000, 10 * 60_000] },
  idle: { duration: [12 * HOUR, 36 * HOUR], gap: [15 * 60_000, 2 * HOUR] },
} as const;

/** Each seed draws its own subset of faults and its own rates: some runs are stormy, some calm, some hit one weakness again and again. */
export function planOf(random: Prng): Plan {
  const pace = random.pick(["hectic", "hectic", "hectic", "busy", "busy", "quiet", "idle"] as const);
  const { duration: [shortest, longest], gap: [least, most] } = PACES[pace];
  const duration = random.between(shortest, longest);
  const calm = random.chance(0.15);
  const disturbances: Plan["disturbances"] = {};
  for (const kind of DISTURBANCES) {
    const takesPart = random.chance(0.35);
    const often = random.between(0.5, pace === "hectic" ? 6 : 12);
    if (takesPart && !calm) disturbances[kind] = duration / often;
  }
  rarer(random.fork("rarer"), disturbances, pace, duration);
  const rarely = (limit: number): number => (!calm && random.chance(0.25) ? random.between(0, limit) : 0);
  const topics = ["t1", "t2", "t3"].slice(0, random.integer(1, 3)).map((topic) => ({ topic, queues: random.integer(1, 5) }));
  const everything = Object.fromEntries(topics.map(({ topic }) => [topic, "*"]));
  const groups: GroupPlan[] = [
    { group: "all", kind: "push", subscriptions: everything },
    { group: "some", kind: "push", subscriptions: { t1: random.pick(["a", "a || b", "*"]) } },
    { group: "pull", kind: "pull", subscriptions: { t1: "*" } },
  ];
  const plan: Plan = {
    pace, duration, topics, disturbances,
    groups: groups.slice(0, random.integer(1, groups.length)),
    gap: random.between(least, most),
    tabs: pace === "idle" ? random.integer(1, 2) : random.integer(2, 6),
    builds: random.chance(0.25) ? 2 : 1,
    commitFails: rarely(0.02),
    commitMisreported: rarely(0.02),
    readFails: rarely(0.02),
    listenerFails: random.chance(0.4) ? random.between(0, 0.2) : 0,
    maxReconsumeTimes: 3,
    work: random.pick([0, 0, 5, 100, 1500]),
    diskLatency: random.pick([1, 3, 10, 60]),
    messageLatency: random.pick([0.2, 1, 5, 20]),
    weight: random.pick([10, 200, 2_000, 40_000]),
    seekers: random.chance(0.3),
    maxStoreBytes: 0, fileReservedTime: 0,
    ...cuts(random.fork("cuts"), pace, disturbances),
  };
  // Drawn last: what was drawn before stays as it was.
  const orderly = plan.groups.map((group) => (group.kind === "push" && random.chance(0.3) ? { ...group, orderly: true } : group));
  const idempotent = random.fork("idempotent");
  return { ...plan, ...failures(random.fork("failures")), groups: orderly.map((group) => (group.kind === "push" && !group.orderly && idempotent.chance(0.3) ? { ...group, idempotent: true } : group)) };
}

/** In some worlds the log is cut: what is sent there is heavy, for nothing less than a mebibyte goes; and not without measure, for it is carried about. */
function cuts(random: Prng, pace: Plan["pace"], disturbances: Plan["disturbances"]): Partial<Plan> {
  if (pace === "idle" || "pile up" in disturbances || !random.chance(0.12)) return {};
  return { maxStoreBytes: MIN_STORE_BYTES, fileReservedTime: random.pick([0, 0, 20_000]), weight: pace === "quiet" ? 1_000_000 : 400_000 };
}

/** In one world of six listeners fail so often that dead letters are no rarity. */
function failures(random: Prng): Partial<Plan> {
  return random.chance(0.16) ? { listenerFails: random.between(0.3, 0.8), maxReconsumeTimes: random.pick([0, 1, 2, 3]) } : {};
}

/** Each in one world of six, or else in a world of its own, where nothing else covers up what it shows. */
function rarer(random: Prng, disturbances: Plan["disturbances"], pace: Plan["pace"], duration: number): void {
  const isAlone = random.chance(0.15);
  if (isAlone) for (const kind of DISTURBANCES) delete disturbances[kind];
  const chosen = random.pick(RARER);
  for (const kind of RARER) {
    const takesPart = random.chance(isAlone ? 0 : 0.15) || (isAlone && kind === chosen);
    const often = random.between(1, kind === "damage row" || pace === "hectic" ? 6 : 12);
    if (takesPart) disturbances[kind] = duration / often;
  }
  // Members come and go, and nothing else happens.
  if (isAlone && random.chance(0.5)) for (const kind of ["open tab", "close tab"] as const) disturbances[kind] = duration / random.between(2, 12);
}
