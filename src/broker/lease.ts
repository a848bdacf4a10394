import type { HeldLock, Locks } from "../platform/locks.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import { pulseLock, writerLock } from "../protocol/lock-names.ts";

/** How often a waiting worker knocks at the host, and how many knocks in a row stay unanswered before it takes its place. */
const KNOCK_INTERVAL = 1000;
const UNANSWERED_KNOCKS = 10;

interface Applicant {
  locks: Locks;
  timers: Timers;
  namespace: string;
  /** Whether anybody asks this worker for a broker at the moment. */
  isWanted(): boolean;
}

/** The right to write a namespace. */
export class Lease {
  /** Somebody wants the lease, and has been shown that its holder runs. */
  onKnock: () => void = () => {};
  readonly #writer: HeldLock;
  #pulse: HeldLock | null = null;
  readonly #ended = new AbortController();

  /**
   * Waits, for ever if need be, until the namespace is free or its host gives no sign of life. The host may be hung: a
   * worker in an endless loop keeps its locks as a good one does. It may wake up at any time; the epoch fences it then.
   * Null when nobody asks this worker any more: its clients have gone elsewhere, and it must not get in their way.
   */
  static async acquire(applicant: Applicant): Promise<Lease | null> {
    const { locks, namespace } = applicant;
    const waiting = new AbortController();
    let isGranted = false;
    const observed = observeHost(applicant, () => isGranted);
    void observed.then(() => waiting.abort());
    const inTurn = await locks.acquire(writerLock(namespace), { signal: waiting.signal });
    isGranted = inTurn !== null;
    if (inTurn === null && (await observed) === "unwanted") return null;
    const writer = inTurn ?? (await locks.acquire(writerLock(namespace), { steal: true }));
    if (writer === null) throw new Error("the writer lock was refused");
    return new Lease(writer, locks, namespace);
  }

  private constructor(writer: HeldLock, locks: Locks, namespace: string) {
    this.#writer = writer;
    void this.#answerKnocks(locks, namespace);
  }

  get lost(): Promise<void> {
    return this.#writer.lost;
  }

  release(): void {
    this.#ended.abort();
    this.#pulse?.release();
    this.#writer.release();
  }

  async #answerKnocks(locks: Locks, namespace: string): Promise<void> {
    const { signal } = this.#ended;
    for (;;) {
      this.#pulse = await locks.acquire(pulseLock(namespace), { signal });
      if (signal.aborted || this.#pulse === null) return this.#pulse?.release();
      await this.#pulse.lost;
      this.onKnock();
    }
  }
}

/**
 * A knock: the pulse lock is stolen from the host and given back to whoever asks for it. A host whose code still runs
 * asks at once; one knock later it holds the lock again, or at least stands in line for it. Knocks are counted and
 * not the time, so that sleep of the machine, or of all workers, counts for little.
 */
async function observeHost(
  { locks, timers, namespace, isWanted }: Applicant,
  isOver: () => boolean,
): Promise<"silent" | "unwanted" | "over"> {
  for (let unanswered = 0; unanswered < UNANSWERED_KNOCKS; ) {
    await sleep(timers, KNOCK_INTERVAL);
    if (isOver()) return "over";
    if (!isWanted()) return "unwanted";
    const free = await locks.acquire(pulseLock(namespace), { ifFree: true });
    unanswered = free === null ? 0 : unanswered + 1;
    (free ?? (await locks.acquire(pulseLock(namespace), { steal: true })))?.release();
  }
  return "silent";
}
