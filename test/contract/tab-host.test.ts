/** No SharedWorker: the broker runs in a worker of one tab, the others come in at its door, and when that tab goes another takes over. */
import { describe, expect, test } from "vitest";
import type { HostEnvironment } from "../../src/broker/host.ts";
import type { ClientEnvironment } from "../../src/client/environment.ts";
import { WITNESS_INTERVAL } from "../../src/model/limits.ts";
import type { Locks } from "../../src/platform/locks.ts";
import type { Producer, TabMQ } from "../../src/index.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { TabOrigin } from "../support/tab-origin.ts";

/** Runs in virtual time. Every broker of it opens the same disk. */
function live<T>(work: (origin: TabOrigin) => Promise<T>, disk = new MemoryDisk()): Promise<T> {
  const origin = new TabOrigin(() => new MemoryStore(disk));
  return origin.time.run(work(origin));
}

const hostOf = async (mq: TabMQ): Promise<{ isHere: boolean; code: string; worker: string; epoch: number; sessions: number }> => {
  const { host: { isHere, code }, broker: { worker, epoch, sessions } } = await mq.diagnostics();
  return { isHere, code, worker, epoch, sessions };
};

const producerOf = (mq: TabMQ): Promise<Producer> => mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000, retryTimesWhenSendFailed: 20 });

async function stored(mq: TabMQ, topic: string): Promise<string[]> {
  const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
  const all: string[] = [];
  for (const queue of await pull.fetchQueues(topic)) {
    for (let offset = 0; ; ) {
      const { status, messages, nextBeginOffset } = await pull.pull(queue, "*", offset, 1024);
      all.push(...messages.map((message) => message.text()));
      if (status === "NO_NEW_MSG") break;
      offset = nextBeginOffset;
    }
  }
  return all;
}

describe("tabs without a SharedWorker", () => {
  test("share one broker: one tab runs it, and what one sends another consumes", async () => {
    await live(async (origin) => {
      const tabs = [await origin.connect(), await origin.connect(), await origin.connect()];
      const told = await Promise.all(tabs.map(hostOf));
      expect(told.map(({ isHere }) => isHere)).toEqual([true, false, false]);
      expect(told[2]).toMatchObject({ worker: "dedicated", epoch: 1, sessions: 3 });
      expect(origin.workers).toHaveLength(1);
      const got: string[] = [];
      await tabs[2]!.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: (message) => void got.push(message.text()) });
      const producer = await producerOf(tabs[1]!);
      const large = "x".repeat(300_000);
      for (const body of ["one", "two", large]) await producer.send({ topic: "t", body });
      await origin.time.sleep(1000);
      expect(got.toSorted()).toEqual(["one", "two", large].toSorted());
    });
  });

  test("that come at the same moment get one worker", async () => {
    await live(async (origin) => {
      const tabs = await Promise.all(Array.from({ length: 8 }, () => origin.connect()));
      expect(origin.workers).toHaveLength(1);
      expect(await hostOf(tabs[7]!)).toMatchObject({ epoch: 1, sessions: 8 });
    });
  });

  test("the host's tab dies: another takes over within a second, calls settle, nothing acknowledged is lost or stored twice", async () => {
    await live(async (origin) => {
      const [host, sender, reader] = [await origin.connect(), await origin.connect(), await origin.connect()];
      const got = new Map<string, number>();
      await reader.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: ({ msgId }) => void got.set(msgId, (got.get(msgId) ?? 0) + 1) });
      const producer = await producerOf(sender);
      const acked: string[] = [];
      for (let round = 0; round < 3; round++) {
        const sends = Array.from({ length: 50 }, async (_, at) => {
          await origin.time.sleep(at * 5);
          const { msgId } = await producer.send({ topic: "t", body: `${round} ${at}` });
          acked.push(msgId);
        });
        await origin.time.sleep(100);
        if (round === 1) origin.killTab(host);
        const died = origin.time.monotonic();
        if (round === 1) await reader.admin.topics();
        expect(origin.time.monotonic() - died).toBeLessThan(1000);
        await Promise.all(sends);
      }
      await origin.time.sleep(5000);
      expect(acked).toHaveLength(150);
      expect([...got.keys()].toSorted()).toEqual(acked.toSorted());
      expect(await stored(reader, "t")).toHaveLength(150);
      expect(origin.workers).toHaveLength(2);
      expect(origin.serving).toHaveLength(1);
      expect((await hostOf(sender)).epoch).toBe(2);
      expect([(await hostOf(sender)).isHere, (await hostOf(reader)).isHere].filter(Boolean)).toHaveLength(1);
    });
  });

  test("the worker dies and its tab lives: a new one takes over within a second", async () => {
    await live(async (origin) => {
      const [host, other] = [await origin.connect(), await origin.connect()];
      const producer = await producerOf(other);
      await producer.send({ topic: "t", body: "before" });
      for (let round = 1; round <= 3; round++) {
        origin.killWorker(host);
        const died = origin.time.monotonic();
        await producer.send({ topic: "t", body: `after ${round}` });
        await host.admin.topics();
        expect(origin.time.monotonic() - died).toBeLessThan(1000);
        expect(origin.serving).toHaveLength(1);
      }
      expect((await stored(other, "t")).toSorted()).toEqual(["after 1", "after 2", "after 3", "before"]);
    });
  });

  test.each([["the tab that hosts", 0], ["another tab", 1]])("the namespace is destroyed by %s: all tabs are told, none goes on in an empty one", async (_who, by) => {
    await live(async (origin) => {
      const tabs = [await origin.connect(), await origin.connect(), await origin.connect(), await origin.connect()];
      const producers = await Promise.all(tabs.map(producerOf));
      for (const producer of producers) await producer.send({ topic: "t", body: "x" });
      await tabs[by]!.admin.destroy();
      const outcomes = await Promise.allSettled(producers.map((producer) => producer.send({ topic: "t", body: "late" })));
      expect(outcomes.map((outcome) => outcome.status === "rejected" && String(outcome.reason).includes("destroyed"))).toEqual([true, true, true, true]);
      const began = origin.time.monotonic();
      const anew = await origin.connect();
      expect(origin.time.monotonic() - began).toBeLessThan(1000);
      expect(await anew.admin.topics()).toEqual([]);
      expect((await hostOf(anew)).sessions).toBe(1);
    });
  });

  test("the tab that hosts destroys the namespace, and its page goes as soon as that is done: the others have been told", async () => {
    await live(async (origin) => {
      const [host, ...others] = [await origin.connect(), await origin.connect(), await origin.connect()];
      const events: string[] = [];
      for (const mq of others) for (const event of ["closed", "loss"] as const) mq.on(event, () => events.push(event));
      await (await producerOf(host)).send({ topic: "t", body: "x" });
      await host.admin.destroy();
      origin.killTab(host);
      await origin.time.sleep(10_000);
      expect(events).toEqual(["closed", "closed"]);
    });
  });

  test("a connect that was aborted stands in no line any more: when the host ends, it starts no worker", async () => {
    await live(async (origin) => {
      origin.tellsOfFreezing = false;
      const host = await origin.connect();
      origin.freeze(host);
      const abort = new AbortController();
      const connecting = origin.connect({ signal: abort.signal });
      await origin.time.sleep(100);
      abort.abort();
      await expect(connecting).rejects.toMatchObject({ code: "CLOSED" });
      origin.killTab(host);
      await origin.time.sleep(1000);
      expect(origin.workers).toHaveLength(1);
      expect(origin.channels.open.size).toBe(0);
    });
  });

  test("nobody can take over: what waits says why, and goes on when somebody can", async () => {
    await live(async (origin) => {
      const [host, other] = [await origin.connect(), await origin.connect()];
      const producer = await other.createProducer({ producerGroup: "p" });
      await producer.send({ topic: "known", body: "x" });
      origin.loading = null;
      origin.killTab(host);
      await origin.time.sleep(1000);
      const why = { code: "DEADLINE_EXCEEDED", outcome: "rejected", message: expect.stringMatching(/never sent.*no broker at the moment: The script is not there\./) as string };
      await Promise.all(["known", "unknown"].map((topic) => expect(producer.send({ topic, body: "x" })).rejects.toMatchObject(why)));
      await expect(other.diagnostics()).rejects.toMatchObject({
        code: "DEADLINE_EXCEEDED", message: expect.stringMatching(/"diagnostics" took longer.*no broker at the moment: The script is not there\./) as string,
        cause: expect.objectContaining({ code: "UNSUPPORTED_ENVIRONMENT" }) as object,
      });
      origin.loading = 50;
      expect((await hostOf(other)).isHere).toBe(true);
    });
  });

  test("one host after the other dies, until one tab is left", async () => {
    await live(async (origin) => {
      const tabs = await Promise.all(Array.from({ length: 5 }, () => origin.connect()));
      const acked: string[] = [];
      while (tabs.length > 1) {
        const told = await Promise.all(tabs.map(hostOf));
        const at = told.findIndex(({ isHere }) => isHere);
        const [host] = tabs.splice(at, 1);
        origin.killTab(host!);
        const producer = await producerOf(tabs[0]!);
        const body = `${tabs.length} left`;
        await producer.send({ topic: "t", body });
        acked.push(body);
        expect(origin.serving).toHaveLength(1);
      }
      expect((await stored(tabs[0]!, "t")).toSorted()).toEqual(acked.toSorted());
      expect((await hostOf(tabs[0]!)).epoch).toBe(5);
    });
  });

  /** How long the last of four tabs is without a broker when the host's tab goes, and a moment later the next two. */
  async function longestWait(moment: number, end: (origin: TabOrigin, mq: TabMQ) => void): Promise<number> {
    return live(async (origin) => {
      // A host lets others in as soon as it may write, and serves them when it has begun.
      const loadIndexer = (): Promise<TsIndexer> => origin.time.sleep(100).then(() => new TsIndexer());
      const connect = (): Promise<TabMQ> => origin.connect({}, { host: { loadIndexer } });
      const tabs = [await connect(), await connect(), await connect(), await connect()] as const;
      const began = origin.time.monotonic();
      end(origin, tabs[0]);
      const asked = tabs[3].admin.topics();
      await origin.time.sleep(moment);
      for (const mq of tabs.slice(1, 3)) end(origin, mq!);
      await asked;
      await tabs[3].admin.topics();
      return origin.time.monotonic() - began - moment;
    });
  }

  test.each([
    ["dies", (origin: TabOrigin, mq: TabMQ) => origin.killTab(mq)],
    ["closes its connection", (_origin: TabOrigin, mq: TabMQ) => void mq.close()],
  ])("a host that %s while it lets others in keeps nobody waiting", async (_how, end) => {
    const waits: [moment: number, wait: number][] = [];
    for (let moment = 0; moment <= 240; moment += 8) waits.push([moment, await longestWait(moment, end)]);
    expect(waits.filter(([, wait]) => wait >= 1000)).toEqual([]);
  });

  test("the host's tab closes its connection: what was accepted is written, and another takes over", async () => {
    await live(async (origin) => {
      const [host, other] = [await origin.connect({ broker: { flushDiskType: "async" } }), await origin.connect()];
      const producer = await producerOf(other);
      await producer.send({ topic: "t", body: "first" });
      for (let at = 0; at < 100; at++) producer.sendOneway({ topic: "t", body: `${at}` });
      // They are at the broker, and nobody waits for their commit.
      await origin.time.sleep(1);
      await host.close();
      expect((await stored(other, "t")).length).toBe(101);
      expect(await hostOf(other)).toMatchObject({ isHere: true, epoch: 2, sessions: 1 });
      await origin.time.sleep(10_000);
      expect(origin.workers.map(({ hasRetired }) => hasRetired)).toEqual([true, false]);
    });
  });

  /** How long another tab waits for an answer when the host's page has been frozen, ms. */
  async function freezing(tellsOfFreezing: boolean): Promise<number> {
    return live(async (origin) => {
      origin.tellsOfFreezing = tellsOfFreezing;
      const [host, other] = [await origin.connect(), await origin.connect()];
      const [producer, sender] = [await producerOf(host), await producerOf(other)];
      await producer.send({ topic: "t", body: "before" });
      await sender.send({ topic: "t", body: "it knows the way" });
      const thaw = origin.freeze(host);
      const began = origin.time.monotonic();
      await sender.send({ topic: "t", body: "meanwhile" }, { timeout: 60_000 });
      const tookMs = origin.time.monotonic() - began;
      expect(await hostOf(other)).toMatchObject({ isHere: true, epoch: 2 });
      thaw();
      await producer.send({ topic: "t", body: "back" });
      expect((await stored(host, "t")).toSorted()).toEqual(["back", "before", "it knows the way", "meanwhile"]);
      await origin.time.sleep(30_000);
      // It is a client like others now, and its own worker has gone.
      expect(await hostOf(host)).toMatchObject({ isHere: false, epoch: 2, sessions: 2 });
      expect(origin.living).toHaveLength(1);
      return tookMs;
    });
  }

  test("the host's page is frozen: it lets its worker go, and another takes over at once", async () => {
    expect(await freezing(true)).toBeLessThan(1000);
  });

  test("frozen without a word, as by a debugger, it is replaced all the same, as one that hangs", async () => {
    const tookMs = await freezing(false);
    expect(tookMs).toBeGreaterThan(5000);
    expect(tookMs).toBeLessThan(30_000);
  });

  test("a script that takes long to come is waited for, and loaded once", async () => {
    await live(async (origin) => {
      origin.loading = 8000;
      const tabs = await Promise.all([origin.connect(), origin.connect()]);
      expect(origin.workers).toHaveLength(1);
      expect(await hostOf(tabs[1]!)).toMatchObject({ epoch: 1, sessions: 2 });
    });
  });

  test("a worker that cannot be started is told as such, and holds nobody up", async () => {
    await live(async (origin) => {
      origin.loading = null;
      await expect(origin.connect()).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", message: "The script is not there." });
      expect(origin.locks.names()).toEqual([]);
      origin.loading = 50;
      expect((await hostOf(await origin.connect())).sessions).toBe(1);
    });
  });

  test("connections that come and go leave no lock, channel or worker", async () => {
    await live(async (origin) => {
      for (let at = 0; at < 30; at++) {
        const tabs = await Promise.all([origin.connect(), origin.connect()]);
        await Promise.all(tabs.map((tab) => tab.close()));
      }
      await origin.time.sleep(20_000);
      expect(origin.living).toEqual([]);
      expect([...origin.channels.open].map(({ name }) => name)).toEqual([]);
      expect(origin.locks.names()).toEqual([]);
    });
  });
});

describe("tabs of both kinds", () => {
  test("a SharedWorker serves: a tab without one comes in at its door, and the other way round", async () => {
    await live(async (origin) => {
      const shared = await origin.connectShared();
      const tab = await origin.connect();
      expect(await hostOf(tab)).toMatchObject({ isHere: false, code: "ANOTHER_SERVES", worker: "shared", epoch: 1, sessions: 2 });
      const producer = await producerOf(tab);
      await producer.send({ topic: "t", body: "from outside" });
      expect(await stored(shared, "t")).toEqual(["from outside"]);
      origin.killShared();
      await producer.send({ topic: "t", body: "after" });
      const told = await Promise.all([hostOf(shared), hostOf(tab)]);
      // Whichever of the two workers was first in line; both tabs are at it.
      expect(new Set(told.map(({ worker }) => worker)).size).toBe(1);
      expect(told[0]).toMatchObject({ epoch: 2, sessions: 2 });
      expect((await stored(shared, "t")).toSorted()).toEqual(["after", "from outside"]);
    });
  });
});

describe("a namespace that is destroyed while a tab is between two brokers", () => {
  /** What that tab is told. Its own worker waits behind the one of the tab that destroys it, so it has no session there yet. */
  async function told(host: Partial<HostEnvironment>): Promise<string[]> {
    return live(async (origin) => {
      const [between, other] = [await origin.connectShared(), await origin.connect({}, { host })];
      const events: string[] = [];
      between.on("loss", ({ loss }) => events.push(`loss ${loss}`));
      between.on("closed", ({ error: { code, field } }) => events.push(`closed ${code} ${field}`));
      await (await producerOf(between)).send({ topic: "t", body: "x" });
      origin.killShared();
      await other.admin.destroy();
      const newcomer = await origin.connect();
      expect(await newcomer.admin.topics()).toEqual([]);
      await origin.time.sleep(10_000);
      return events;
    });
  }

  test("it is told, and does not go on in the empty one", async () => {
    expect(await told({})).toEqual(["closed CLOSED namespace"]);
  });

  test("control: if only those with a session count it takes the empty one for its own", async () => {
    expect(await told({ heldLocks: () => Promise.resolve([]) })).toEqual(["loss total"]);
  });
});

describe("who comes to an empty namespace misses nothing of the one before", () => {
  /** A place for notes that a destroy clears, as local storage is. */
  function noteBook(): Partial<ClientEnvironment> {
    const memo = { text: null as string | null, read: () => memo.text, write: (text: string) => void (memo.text = text) };
    return { memo, forgetNotes: () => void (memo.text = null) };
  }
  const lossOf = async (mq: TabMQ): Promise<string> => (await mq.diagnostics()).broker.recovery.loss;

  test("to a worker that stood in line meanwhile, with a tab that remembered it", async () => {
    await live(async (origin) => {
      const [between, other] = [await origin.connectShared(), await origin.connect()];
      await (await producerOf(between)).send({ topic: "t", body: "x" });
      origin.killShared();
      // That tab's next worker stands in line, and knows what it remembers.
      await origin.time.sleep(300);
      await other.admin.destroy();
      await other.close();
      const next = await origin.connectShared();
      expect([await hostOf(next), await lossOf(next)]).toMatchObject([{ worker: "shared" }, "none"]);
    });
  });

  test.each([0, 50, 500, 1400])("%i ms after the end was asked for, while a tab that is asleep is waited for", async (delay) => {
    await live(async (origin) => {
      const overrides = noteBook();
      const [host, other, asleep] = [await origin.connect({}, { overrides }), await origin.connect({}, { overrides }), await origin.connect({}, { overrides })];
      await (await producerOf(other)).send({ topic: "t", body: "x" });
      // Almost: what the tab has seen is about to be noted.
      await origin.time.sleep(WITNESS_INTERVAL - 10);
      origin.freeze(asleep);
      const destroyed = other.admin.destroy();
      await origin.time.sleep(delay);
      const newcomer = await origin.connect({}, { overrides });
      await destroyed;
      expect(await lossOf(newcomer)).toBe("none");
      expect(await newcomer.admin.topics()).toEqual([]);
      await host.close();
    });
  });
});

describe("a tab whose own worker cannot be started", () => {
  test("comes in at the door of whoever serves, also of the next one, and keeps no seat", async () => {
    await live(async (origin) => {
      const shared = await origin.connectShared();
      origin.loading = null;
      const tab = await origin.connect();
      expect(await hostOf(tab)).toMatchObject({ isHere: false, code: "ANOTHER_SERVES", worker: "shared", epoch: 1, sessions: 2 });
      expect(origin.locks.names().filter((name) => name.includes("/seat/"))).toEqual([]);
      const producer = await producerOf(tab);
      await producer.send({ topic: "t", body: "by the door" });
      origin.killShared();
      await producer.send({ topic: "t", body: "after" });
      expect(await hostOf(tab)).toMatchObject({ worker: "shared", epoch: 2, sessions: 2 });
      expect((await stored(shared, "t")).toSorted()).toEqual(["after", "by the door"]);
    });
  });

  test("is told why when whoever serves does not let it in", async () => {
    await live(async (origin) => {
      await origin.connectShared({ clientId: "one" });
      origin.loading = null;
      await expect(origin.connect({ clientId: "one" })).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "connect.clientId" });
    });
  });

  test("is refused with the reason when nobody opens", async () => {
    await live(async (origin) => {
      // Whoever holds it has no door.
      const held = await origin.locks.acquire("tabmq/default/writer");
      origin.loading = null;
      await expect(origin.connect()).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", message: "The script is not there." });
      held!.release();
    });
  });
});

describe("a worker whose turn comes while its own tab knocks at the door", () => {
  /** How often the tab loses its broker again. */
  async function losses(kind: "tab" | "shared"): Promise<number> {
    return live(async (origin) => {
      const held = (await origin.locks.acquire("tabmq/default/writer"))!;
      const connecting = kind === "tab" ? origin.connect() : origin.connectShared();
      await origin.time.sleep(2500);
      held.release();
      const mq = await connecting;
      let lost = 0;
      mq.on("disconnected", () => lost++);
      await origin.time.sleep(5000);
      expect(await hostOf(mq)).toMatchObject({ epoch: 1, sessions: 1, isHere: kind === "tab" });
      return lost;
    });
  }

  test.each(["tab", "shared"] as const)("is asked in one place only: %s", async (kind) => {
    expect(await losses(kind)).toBe(0);
  });

  test("takes nobody for its client who has gone through the door meanwhile", async () => {
    await live(async (origin) => {
      const host = await origin.connect();
      // Its own worker has the question still, and answers it when its turn comes.
      const visitor = await origin.connectShared({ clientId: "visitor" });
      expect((await hostOf(visitor)).code).toBe("ANOTHER_SERVES");
      origin.killTab(host);
      void visitor.close();
      const again = await origin.connectShared({ clientId: "visitor" });
      expect(await hostOf(again)).toMatchObject({ worker: "shared", sessions: 1 });
    });
  });
});

describe("who may write", () => {
  /** Everybody gets the writer lock at once, and every tab its seat. */
  const lawless = (locks: Locks): Locks => ({
    acquire: (name, options) => (/\/(writer|seat\/\d+\/\d+)$/.test(name) ? Promise.resolve({ release() {}, lost: new Promise<void>(() => {}) }) : locks.acquire(name, options)),
  });

  async function owners(isLawless: boolean): Promise<number> {
    return live(async (origin) => {
      if (isLawless) {
        const { acquire } = origin.locks;
        const real: Locks = { acquire: (name, options) => acquire.call(origin.locks, name, options) };
        origin.locks.acquire = lawless(real).acquire;
      }
      let most = 0;
      const tabs = await Promise.all(Array.from({ length: 4 }, () => origin.connect()));
      most = Math.max(most, origin.serving.length);
      origin.killTab(tabs[0]!);
      await origin.time.sleep(3000);
      most = Math.max(most, origin.serving.length);
      return most;
    });
  }

  test("one worker at a time has a broker", async () => {
    expect(await owners(false)).toBe(1);
  });

  test("control: without seat and writer lock several have", async () => {
    expect(await owners(true)).toBeGreaterThan(1);
  });
});
