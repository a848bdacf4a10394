import type { CommitBatch, CommitOutcome, IndexRange, LogRow, PageKey } from "../../src/storage/block-store.ts";
import { MemoryStore } from "../../src/storage/memory-store.ts";
import type { TestStore } from "../support/sound-stores.ts";
import type { SimDisk } from "./disk.ts";
import type { Trace } from "./history.ts";
import { copyOf } from "./ports.ts";
import type { Agent, Scheduler } from "./scheduler.ts";

/** One host's connection to the database. */
export class SimStore implements TestStore {
  readonly kind = "indexeddb";
  readonly judgedBy = "soundness.ts";
  onLost: (reason: string) => void = () => {};
  readonly #disk: SimDisk;
  readonly #scheduler: Scheduler;
  readonly #trace: Trace;
  readonly #agent: Agent;
  readonly #reader: MemoryStore;
  #isClosed = false;

  constructor(disk: SimDisk, scheduler: Scheduler, trace: Trace, agent: Agent) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#trace = trace;
    this.#agent = agent;
    this.#reader = new MemoryStore(disk.rows);
  }

  takeOver(above = 0): Promise<number> {
    const { powerCuts } = this.#disk;
    return new Promise((resolve) => {
      this.#scheduler.after(this.#disk.delay(this.#agent.random, true), `take over by ${this.#agent.name}`, () => {
        if (this.#agent.state === "dead" || powerCuts !== this.#disk.powerCuts) return;
        const epoch = this.#disk.takeOver(above);
        this.#tell("taken over", () => resolve(epoch));
      });
    });
  }

  commit(batch: CommitBatch): Promise<CommitOutcome> {
    const { random } = this.#agent;
    const { weather, controls, powerCuts } = this.#disk;
    const closed: CommitOutcome = { status: "unknown", cause: new Error("the connection is closed") };
    if (this.#isClosed) return Promise.resolve(closed);
    // Copied now, as IndexedDB does: what the broker changes later is not written.
    const copy: CommitBatch = {
      epoch: batch.epoch,
      ...(batch.remove && { remove: copyOf(batch.remove) }),
      log: batch.log.map(({ position, bytes }) => ({ position, bytes: bytes.slice() })),
      queue: batch.queue.map(({ key, bytes }) => ({ key, bytes: bytes.slice() })),
      ...(batch.index && { index: structuredClone(batch.index) }),
      state: copyOf(batch.state),
    };
    const fate = random.next();
    // Some transactions need the host's help to complete: they stop when it is frozen, and end when it dies.
    const needsHost = random.chance(0.5);
    return new Promise((resolve) => {
      const run = (): void => {
        if (powerCuts !== this.#disk.powerCuts) return;
        if (this.#agent.state === "dead" && (needsHost || random.chance(0.3))) return;
        const outcome = ((): CommitOutcome => {
          if (this.#isClosed && random.chance(0.5)) return closed;
          if (fate < weather.commitFails) return this.#fault("commit failed", { status: "unknown", cause: new Error("Internal error") });
          if (weather.isFull && batch.log.length > 0) return this.#fault("quota used up", { status: "rejected", reason: "FULL" });
          if (this.#disk.apply(copy) === "FENCED") return { status: "rejected", reason: "FENCED" };
          if (fate < weather.commitFails + weather.commitMisreported) {
            return this.#fault("commit misreported", { status: "unknown", cause: new Error("Internal error committing transaction") });
          }
          return { status: "committed" };
        })();
        this.#tell("commit answered", () => resolve(outcome));
      };
      const delay = this.#disk.delay(random, true);
      if (needsHost) this.#scheduler.post(this.#agent, delay, "commit", run);
      else this.#scheduler.after(delay, `commit of ${this.#agent.name}`, run);
      if (controls.earlyAnswer) this.#tell("commit answered", () => resolve({ status: "committed" }));
    });
  }

  readLog(position: number, count: number): Promise<LogRow[]> {
    return this.#read(() => this.#reader.readLog(position, count));
  }

  readLogKeys(position: number, count: number): Promise<number[]> {
    return this.#read(() => this.#reader.readLogKeys(position, count));
  }

  floorLog(position: number): Promise<number | undefined> {
    return this.#read(() => this.#reader.floorLog(position));
  }

  readPages(keys: PageKey[]): Promise<(Uint8Array | undefined)[]> {
    return this.#read(() => this.#reader.readPages(keys));
  }

  readIndex(ranges: IndexRange[]): Promise<Uint8Array[][]> {
    return this.#read(() => this.#reader.readIndex(ranges));
  }

  readState(prefix: string): Promise<[string, unknown][]> {
    return this.#read(() => this.#reader.readState(prefix));
  }

  close(): void {
    this.#isClosed = true;
    this.#disk.close(this);
  }

  /** Nobody destroys the simulated namespace. */
  destroy(): Promise<void> {
    return Promise.reject(new Error("this disk is not destroyed"));
  }

  lose(): void {
    this.close();
    this.#tell("store lost", () => this.onLost("the browser closed the database"));
  }

  #read<T>(read: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new DOMException("The database connection is closing.", "InvalidStateError"));
      const { random } = this.#agent;
      this.#scheduler.post(this.#agent, this.#disk.delay(random, false), "read", () => {
        if (random.chance(this.#disk.weather.readFails)) reject(this.#fault("read failed", new DOMException("Internal error.", "UnknownError")));
        else read().then(resolve, reject);
      });
    });
  }

  #tell(label: string, run: () => void): void {
    this.#scheduler.post(this.#agent, this.#agent.random.between(0.05, 0.5), label, run);
  }

  #fault<T>(kind: "commit failed" | "commit misreported" | "quota used up" | "read failed", result: T): T {
    this.#trace.add({ type: "fault", kind, agent: this.#agent.name });
    return result;
  }
}
