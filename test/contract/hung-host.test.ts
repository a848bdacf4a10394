import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BrokerHost } from "../../src/broker/host.ts";
import type { SharedMemo } from "../../src/client/environment.ts";
import type { TabMQ } from "../../src/index.ts";
import type { HeldLock, Locks } from "../../src/platform/locks.ts";
import { systemTimers, type Timers } from "../../src/platform/timers.ts";
import type { BlockStore } from "../../src/storage/block-store.ts";
import { NodeOrigin, until } from "../support/node-broker.ts";

let origin: NodeOrigin;
beforeEach(() => void (origin = new NodeOrigin()));
afterEach(() => origin.close());

/** A fiftieth of every interval; the limits of whole attempts stay. */
const hasty: Timers = { after: (delay, run) => systemTimers.after(delay < 10_000 ? delay / 50 : delay, run) };

/** A worker that can be made to hang: it keeps its locks, and hears and says nothing. */
class Worker {
  readonly host: BrokerHost;
  store: BlockStore | null = null;
  isHung = false;
  #awake: Promise<void> = Promise.resolve();
  #wake = (): void => {};

  constructor(answersKnocks = true) {
    // Workers of a test that is over must not look for the next one's.
    const here = origin;
    const locks: Locks = {
      acquire: async (name, options) => {
        await this.#awake;
        if (!answersKnocks && name.endsWith("/pulse")) return new Promise(() => {});
        const lock = await here.locks.acquire(name, options);
        await this.#awake;
        return lock === null ? null : ({ release: () => lock.release(), lost: lock.lost.then(() => this.#awake) } satisfies HeldLock);
      },
    };
    const openStore = (): BlockStore => (this.store = here.makeStore());
    this.host = here.newHost({ locks, openStore, timers: { after: (delay, run) => hasty.after(delay, () => void this.#awake.then(run)) } });
  }

  hang(): void {
    this.isHung = true;
    this.#awake = new Promise((resolve) => (this.#wake = resolve));
    origin.silence();
  }

  wake(): void {
    this.isHung = false;
    this.#wake();
  }
}

/** Workers of the origin by generation, each made when it is first asked for; and the note that all tabs share. */
class Workers {
  readonly all: Worker[] = [];
  readonly #listeners = new Set<() => void>();
  #text: string | null = null;
  readonly memo: SharedMemo = {
    read: () => this.#text,
    write: (text) => {
      this.#text = text;
      for (const listener of this.#listeners) listener();
    },
    onChange: (listener) => (this.#listeners.add(listener), () => this.#listeners.delete(listener)),
  };

  connect(locks: Locks = origin.locks): Promise<TabMQ> {
    const openBroker = (generation: number) => {
      const worker = (this.all[generation] ??= new Worker());
      return { port: (worker.isHung ? new MessageChannel().port1 : origin.port(worker.host)) as never, onError: () => {} };
    };
    return origin.connect({}, { locks, timers: hasty, openBroker, generation: this.memo });
  }
}

const epochOf = async (mq: TabMQ): Promise<number> => (await mq.diagnostics()).broker.epoch;

describe("a worker hangs with the writer lock in its hand", () => {
  test("a worker of the next generation takes its place; tabs that wait and tabs that come later go there; nothing is lost", async () => {
    const workers = new Workers();
    const [a, b] = [await workers.connect(), await workers.connect()];
    const [first, second] = [await a.createProducer({ producerGroup: "p" }), await b.createProducer({ producerGroup: "p" })];
    const before = await first.send({ topic: "t", body: "before" });
    workers.all[0]!.hang();
    const sent = await first.send({ topic: "t", body: "meanwhile" }, { timeout: 20_000 });
    await second.send({ topic: "t", body: "of the other" }, { timeout: 20_000 });
    expect([await epochOf(a), await epochOf(b), workers.memo.read()]).toEqual([2, 2, "1"]);
    expect(await epochOf(await workers.connect())).toBe(2);

    const pull = await a.createPullConsumer({ consumerGroup: "g" });
    const ids = (await Promise.all((await pull.fetchQueues("t")).map((queue) => pull.pull(queue, "*", 0, 100)))).flatMap(({ messages }) => messages.map(({ msgId }) => msgId));
    expect(ids.filter((id) => id === before.msgId || id === sent.msgId)).toHaveLength(2);
  });

  test("it wakes up: what it writes is fenced, and it gets in nobody's way", async () => {
    const workers = new Workers();
    const mq = await workers.connect();
    workers.all[0]!.hang();
    await until(async () => (await epochOf(mq).catch(() => 0)) === 2);
    const old = workers.all[0]!.store!;
    const written = await old.commit({ epoch: 1, log: [], queue: [], state: [["x", 1]] });
    expect(written).toEqual({ status: "rejected", reason: "FENCED" });
    workers.all[0]!.wake();
    await until(() => workers.all[0]!.host.broker === null);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await epochOf(mq)).toBe(2);
    expect(workers.all[0]!.host.broker).toBeNull();
  });

  test("a tab that dies later is missed at once: the hung worker does not stand in line for its lock", async () => {
    const workers = new Workers();
    const held: HeldLock[] = [];
    const mortal: Locks = {
      acquire: async (name, options) => {
        const lock = await origin.locks.acquire(name, options);
        if (lock !== null && name.includes("/client/")) held.push(lock);
        return lock;
      },
    };
    const survivor = await workers.connect();
    await workers.connect(mortal);
    workers.all[0]!.hang();
    const sessions = async (): Promise<number> => (await survivor.diagnostics()).broker.sessions;
    await until(async () => (await epochOf(survivor).catch(() => 0)) === 2 && (await sessions()) === 2);
    for (const lock of held) lock.release();
    await until(async () => (await sessions()) === 1);
  });

  test("a tab that comes when nobody else is there, as after a reload, is served too", async () => {
    const workers = new Workers();
    await (await workers.connect()).close();
    workers.all[0]!.hang();
    expect(await epochOf(await workers.connect())).toBe(2);
  });

  test("when each new worker hangs, a tab stops making more of them", async () => {
    const workers = new Workers();
    const mq = await workers.connect();
    for (let generation = 0; generation < 3; generation++) {
      workers.all[generation]!.hang();
      void mq.diagnostics().catch(() => {});
      await until(() => origin.disk.state.get("epoch") === generation + 2);
      await epochOf(mq);
    }
    workers.all[3]!.hang();
    void mq.diagnostics().catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(workers.all).toHaveLength(4);
  });
});

describe("a host that runs keeps its place", () => {
  /** A second worker, of another build say, whose client asks it all the time. */
  async function withApplicant(host: Worker): Promise<{ epoch: () => number; applicant: Worker }> {
    const tab = await origin.connect({}, { openBroker: () => ({ port: origin.port(host.host) as never, onError: () => {} }) });
    await tab.createProducer({ producerGroup: "p" });
    const applicant = new Worker();
    void origin.connect({}, { openBroker: () => ({ port: origin.port(applicant.host) as never, onError: () => {} }) }).catch(() => {});
    return { epoch: () => origin.disk.state.get("epoch") as number, applicant };
  }

  test("for as long as it answers knocks, however busy its store is", async () => {
    const { epoch, applicant } = await withApplicant(new Worker());
    // Fifty knocks, one every 20 ms.
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect([epoch(), applicant.host.broker]).toEqual([1, null]);
  });

  test("control: one that does not answer them is replaced", async () => {
    const { epoch } = await withApplicant(new Worker(false));
    await until(() => epoch() === 2);
  });

  test("unless it has no clients: then it lets in who has", async () => {
    const [host, applicant] = [new Worker(), new Worker()];
    const tab = await origin.connect({}, { openBroker: () => ({ port: origin.port(host.host) as never, onError: () => {} }) });
    const waiting = origin.connect({}, { openBroker: () => ({ port: origin.port(applicant.host) as never, onError: () => {} }) });
    await until(() => origin.disk.state.get("epoch") === 1);
    await tab.close();
    expect(await epochOf(await waiting)).toBe(2);
  });
});
