import type { BlockStore, CommitBatch, CommitOutcome, IndexRange, LogRow, PageKey } from "../../src/storage/block-store.ts";

/** What happens to an operation. None of them is forbidden by the seam, and all of them have been seen in browsers. */
export const FAULTS = [
  /** It does nothing and fails. */
  "failed",
  /** It is done, and reported as failed. */
  "done",
  /** A write does nothing, because there is no room; reading goes on. */
  "full",
  /** It does nothing, fails, and this connection to the store is gone. */
  "lost",
  /** As `lost`, and it is done. */
  "lost-done",
  /** The host dies and nothing was done. */
  "crash",
  /** The host dies and it was done. */
  "crash-done",
] as const;

export interface Fault {
  /** Number of the operation, over all stores of the plan; the first is 1. */
  at: number;
  kind: (typeof FAULTS)[number];
  /** All operations from there on, until `repair`. */
  persistent?: boolean;
}

export interface Operation {
  at: number;
  name: "takeOver" | "commit" | "readLog" | "readLogKeys" | "floorLog" | "readPages" | "readIndex" | "readState" | "destroy";
  fault: Fault["kind"] | null;
}

/** Counts the operations of all stores over one disk and says which of them fail. `close` cannot fail and does not count. */
export class FaultPlan {
  readonly operations: Operation[] = [];
  /** Called when the host that made this operation is dead. */
  onCrash: () => void = () => {};
  /** Called at an operation that fails. */
  onFault: (fault: Fault) => void = () => {};
  #faults: readonly Fault[];

  constructor(faults: readonly Fault[] = []) {
    this.#faults = faults;
  }

  /** The device is well again, for good. */
  repair(): void {
    this.#faults = [];
  }

  next(name: Operation["name"]): Fault["kind"] | null {
    const at = this.operations.length + 1;
    const fault = this.#faults.find((one) => one.at === at || (one.persistent === true && one.at < at));
    this.operations.push({ at, name, fault: fault?.kind ?? null });
    if (fault !== undefined) this.onFault(fault);
    return fault?.kind ?? null;
  }
}

const DEVICE_ERROR = "the device failed (injected)";

/** One host's connection to a store that may fail at any operation. `latency`: how long each takes. */
export class FaultyStore implements BlockStore {
  readonly kind;
  readonly inner: BlockStore;
  readonly #plan: FaultPlan;
  readonly #latency: () => Promise<void>;
  /** Open, force-closed, or its host is dead: then nothing is done and nothing answered any more. */
  #state: "open" | "lost" | "dead" = "open";

  constructor(inner: BlockStore, plan: FaultPlan, latency: () => Promise<void> = () => Promise.resolve()) {
    this.kind = inner.kind;
    this.inner = inner;
    this.#plan = plan;
    this.#latency = latency;
  }

  set onLost(listener: (reason: string) => void) {
    this.#onLost = listener;
  }

  get onLost(): (reason: string) => void {
    return this.#onLost;
  }

  #onLost: (reason: string) => void = () => {};

  /** The host has died: what is on its way is neither done nor answered. */
  kill(): void {
    this.#state = "dead";
  }

  takeOver(): Promise<number> {
    return this.#run("takeOver", () => this.inner.takeOver());
  }

  async commit(batch: CommitBatch): Promise<CommitOutcome> {
    try {
      return await this.#run("commit", () => this.inner.commit(batch));
    } catch (cause) {
      return cause instanceof NoRoom ? { status: "rejected", reason: "FULL", cause } : { status: "unknown", cause };
    }
  }

  readLog(position: number, count: number): Promise<LogRow[]> {
    return this.#run("readLog", () => this.inner.readLog(position, count));
  }

  readLogKeys(position: number, count: number): Promise<number[]> {
    return this.#run("readLogKeys", () => this.inner.readLogKeys(position, count));
  }

  floorLog(position: number): Promise<number | undefined> {
    return this.#run("floorLog", () => this.inner.floorLog(position));
  }

  readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.#run("readPages", () => this.inner.readPages(keys));
  }

  readIndex(ranges: IndexRange[]): Promise<Uint8Array[][]> {
    return this.#run("readIndex", () => this.inner.readIndex(ranges));
  }

  readState(prefix: string): Promise<[string, unknown][]> {
    return this.#run("readState", () => this.inner.readState(prefix));
  }

  close(): void {
    this.inner.close();
  }

  destroy(): Promise<void> {
    return this.#run("destroy", () => this.inner.destroy());
  }

  async #run<T>(name: Operation["name"], apply: () => Promise<T>): Promise<T> {
    if (this.#state === "lost") throw new Error("the connection is closed (injected)");
    if (this.#state === "dead") return never();
    const fault = this.#plan.next(name);
    const isDone = fault === null || fault === "done" || fault === "lost-done" || fault === "crash-done";
    await this.#latency();
    // It died while this was on its way.
    if ((this.#state as string) === "dead") return never();
    const isRead = name !== "takeOver" && name !== "commit";
    if (fault === "full" && isRead) return apply();
    const result = isDone ? await apply() : null;
    switch (fault) {
      case null:
        return result as T;
      case "full":
        throw new NoRoom("QuotaExceededError (injected)");
      case "crash":
      case "crash-done":
        this.#state = "dead";
        this.#plan.onCrash();
        return never();
      case "lost":
      case "lost-done":
        if (this.#state === "open") {
          this.#state = "lost";
          this.#onLost(DEVICE_ERROR);
        }
        throw new Error(DEVICE_ERROR);
      default:
        throw new Error(DEVICE_ERROR);
    }
  }
}

class NoRoom extends Error {}

function never(): Promise<never> {
  return new Promise<never>(() => {});
}
