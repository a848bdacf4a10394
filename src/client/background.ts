import { asMQError, MQError } from "../model/errors.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import { integer } from "../protocol/validate.ts";
import type { ConnectOptions } from "./connect.ts";
import type { TabMQ } from "./tabmq.ts";

/** `connect`'s options in a service worker, where the host cannot be chosen. */
export type BackgroundConnectOptions = Omit<ConnectOptions, "host" | "worker">;

export interface BackgroundOptions extends BackgroundConnectOptions {
  /** After so many ms the work is broken off. Default 25,000: every browser gives an event half a minute at least. */
  limit?: number;
}

/** Something that can be waited for: an outbox, or a consumer. */
export type Drainable =
  /** How many messages wait. */
  | { waiting(): Promise<number> }
  /** By its group's lag. */
  | { consumerGroup: string };

/** What the work in the background is given besides the connection. */
export interface BackgroundContext {
  /** Aborted when the time is up. */
  signal: AbortSignal;
  /**
   * Resolves when nothing waits any more: nothing in the outbox, or no message that the consumer's group has not consumed.
   * What is a dead letter or parked does not count; what is to be tried again does in an outbox, and in a group not before its time.
   * Rejects when the time is up.
   */
  drained(source: Drainable): Promise<void>;
}

/** Less than any browser's patience with an event of a service worker, with time to shut down in order. */
const DEFAULT_LIMIT = 25_000;
const MAX_LIMIT = 5 * 60_000;
/** How often is looked whether something still waits, ms. */
const LOOK_EVERY = 200;

const limitCheck = integer(1, MAX_LIMIT);

/**
 * Connects, does the work and closes the connection, whatever becomes of the work: what an event's `waitUntil` is given.
 * Rejects with what the work throws, with DEADLINE_EXCEEDED when the time is up, or as `connect` does.
 */
export async function inBackground<Result>(
  connect: (options: BackgroundConnectOptions) => Promise<TabMQ>,
  timers: Timers,
  { limit = DEFAULT_LIMIT, signal: given, ...options }: BackgroundOptions,
  work: (mq: TabMQ, context: BackgroundContext) => Result | Promise<Result>,
): Promise<Result> {
  limitCheck(limit, "inBackground.limit");
  const over = new AbortController();
  const { signal } = over;
  const cancel = timers.after(limit, () => over.abort(new MQError("DEADLINE_EXCEEDED", `The work in the background took longer than ${limit} ms.`, { outcome: "unknown" })));
  const onGiven = (): void => over.abort(new MQError("CLOSED", "The work in the background was aborted.", { cause: given?.reason }));
  given?.addEventListener("abort", onGiven);
  if (given?.aborted) onGiven();
  const broken = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(asMQError(signal.reason))));
  broken.catch(() => {});
  try {
    signal.throwIfAborted();
    const mq = await connect({ ...options, signal }).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : error;
    });
    try {
      const done = Promise.resolve(work(mq, { signal, drained: (source) => drained(mq, timers, source, signal) }));
      return await Promise.race([done, broken]);
    } finally {
      await mq.close();
    }
  } finally {
    cancel();
    given?.removeEventListener("abort", onGiven);
  }
}

async function drained(mq: TabMQ, timers: Timers, source: Drainable, signal: AbortSignal): Promise<void> {
  const waiting = "waiting" in source ? () => source.waiting() : async () => (await mq.admin.consumeStats(source.consumerGroup)).diffTotal;
  for (;;) {
    signal.throwIfAborted();
    if ((await waiting()) === 0) return;
    await sleep(timers, LOOK_EVERY);
  }
}
