/** A service worker's connection: at the door of whoever serves, or hosting the broker itself until somebody else can. */
import { describe, expect, test } from "vitest";
import { type BackgroundOptions, inBackground } from "../../src/client/background.ts";
import type { HostEnvironment } from "../../src/broker/host.ts";
import type { Producer, TabMQ } from "../../src/index.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TabOrigin } from "../support/tab-origin.ts";
import { Agent } from "../support/virtual-origin.ts";

/** Runs in virtual time. Every broker of it opens the same disk. */
function live<T>(work: (origin: TabOrigin) => Promise<T>, disk = new MemoryDisk()): Promise<T> {
  const origin = new TabOrigin(() => new MemoryStore(disk));
  return origin.time.run(work(origin));
}

const hostOf = async (mq: TabMQ): Promise<{ isHere: boolean; worker: string; epoch: number; sessions: number }> => {
  const { host: { isHere }, broker: { worker, epoch, sessions } } = await mq.diagnostics();
  return { isHere, worker, epoch, sessions };
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
  return all.toSorted();
}

describe("a service worker without tabs", () => {
  test("hosts the broker itself, and gives it up when its connection is closed", async () => {
    await live(async (origin) => {
      const worker = await origin.connectServiceWorker();
      expect(await hostOf(worker)).toEqual({ isHere: true, worker: "service", epoch: 1, sessions: 1 });
      await (await producerOf(worker)).send({ topic: "t", body: "sent" });
      await worker.close();
      expect(origin.serving).toEqual([]);
      expect(origin.locks.names()).toEqual([]);
      expect([...origin.channels.open]).toEqual([]);
      const tab = await origin.connect();
      expect(await stored(tab, "t")).toEqual(["sent"]);
      expect(await hostOf(tab)).toMatchObject({ isHere: true, worker: "dedicated", epoch: 2 });
    });
  });

  test("writes what it has taken before it gives up", async () => {
    await live(async (origin) => {
      const worker = await origin.connectServiceWorker({ broker: { flushDiskType: "async" } });
      const producer = await producerOf(worker);
      for (let at = 0; at < 100; at++) producer.sendOneway({ topic: "t", body: `${at}` });
      await worker.close();
      expect(await stored(await origin.connect(), "t")).toHaveLength(100);
    });
  });

  test("is ended in the middle: nothing acknowledged is lost, the next host takes over", async () => {
    await live(async (origin) => {
      const acked: string[] = [];
      for (let life = 0; life < 5; life++) {
        const worker = await origin.connectServiceWorker();
        const producer = await producerOf(worker);
        for (let at = 0; at < 50; at++) {
          const body = `${life} ${at}`;
          producer.send({ topic: "t", body }).then(() => acked.push(body), () => {});
        }
        await origin.time.sleep(life * 3);
        origin.killTab(worker);
      }
      expect(acked.length).toBeGreaterThan(0);
      const tab = await origin.connect();
      expect(await stored(tab, "t")).toEqual(expect.arrayContaining(acked));
      expect((await hostOf(tab)).epoch).toBe(6);
    });
  });

  test("two connections: one hosts, the other comes in at its door, and hosts when the first has gone", async () => {
    await live(async (origin) => {
      const [first, second] = [await origin.connectServiceWorker(), await origin.connectServiceWorker()];
      expect([await hostOf(first), await hostOf(second)]).toMatchObject([{ isHere: true, epoch: 1 }, { isHere: false, epoch: 1, sessions: 2 }]);
      await (await producerOf(second)).send({ topic: "t", body: "one" });
      await first.close();
      await (await producerOf(second)).send({ topic: "t", body: "two" });
      expect(await hostOf(second)).toMatchObject({ isHere: true, epoch: 2, sessions: 1 });
      expect(await stored(second, "t")).toEqual(["one", "two"]);
    });
  });

  test("connections that come and go leave no lock, channel or host", async () => {
    await live(async (origin) => {
      for (let at = 0; at < 30; at++) {
        const tab = at % 3 === 0 ? await origin.connectShared() : null;
        const workers = await Promise.all([origin.connectServiceWorker(), origin.connectServiceWorker()]);
        await Promise.all([...workers, ...(tab === null ? [] : [tab])].map((mq) => mq.close()));
        if (tab !== null) origin.killShared();
      }
      await origin.time.sleep(20_000);
      expect(origin.serving).toEqual([]);
      expect([...origin.channels.open].filter(({ agent }) => agent.isAlive).map(({ name }) => name)).toEqual([]);
      expect(origin.locks.names()).toEqual([]);
    });
  });
});

describe("a service worker beside tabs", () => {
  test.each(["connectShared", "connect"] as const)("%s: comes in at the tab's door, in the same epoch", async (connect) => {
    await live(async (origin) => {
      const tab = await origin[connect]();
      const began = origin.time.monotonic();
      const worker = await origin.connectServiceWorker();
      // At once, and not when some patience has run out.
      expect(origin.time.monotonic() - began).toBeLessThan(100);
      await (await producerOf(worker)).send({ topic: "t", body: "from the service worker" });
      expect(await hostOf(worker)).toMatchObject({ isHere: false, epoch: 1, sessions: 2 });
      expect(await stored(tab, "t")).toEqual(["from the service worker"]);
      expect(origin.workers).toHaveLength(1);
      await worker.close();
      expect((await hostOf(tab)).sessions).toBe(1);
    });
  });

  test("the last tab goes while the service worker works: it goes on by itself", async () => {
    await live(async (origin) => {
      const tab = await origin.connect();
      const worker = await origin.connectServiceWorker();
      const producer = await producerOf(worker);
      await producer.send({ topic: "t", body: "one" });
      origin.killTab(tab);
      await producer.send({ topic: "t", body: "two" });
      expect(await hostOf(worker)).toEqual({ isHere: true, worker: "service", epoch: 2, sessions: 1 });
      expect(await stored(worker, "t")).toEqual(["one", "two"]);
    });
  });

  /** A tab opens while the service worker hosts and sends. `stayed`: the broker did, where it was; `most`: brokers at a time; `tookMs`: the tab's connect. */
  async function opening(connect: "connect" | "connectShared", host: Partial<HostEnvironment> = {}): Promise<{ worker: string; stayed: boolean; tookMs: number; most: number }> {
    return live(async (origin) => {
      const worker = await origin.connectServiceWorker({}, { host });
      const producer = await producerOf(worker);
      let most = 0;
      const acked: string[] = [];
      const sends = Array.from({ length: 200 }, async (_, at) => {
        await origin.time.sleep(at * 5);
        await producer.send({ topic: "t", body: `${at}` });
        acked.push(`${at}`);
        most = Math.max(most, origin.serving.length);
      });
      await origin.time.sleep(300);
      const began = origin.time.monotonic();
      const tab = await origin[connect]();
      const tookMs = origin.time.monotonic() - began;
      await Promise.all(sends);
      expect(await stored(tab, "t")).toEqual(acked.toSorted());
      expect(acked).toHaveLength(200);
      const told = await hostOf(tab);
      const toldThere = await hostOf(worker);
      expect(toldThere).toMatchObject({ worker: told.worker, epoch: told.epoch, sessions: 2 });
      return { worker: told.worker, stayed: toldThere.isHere, tookMs, most };
    });
  }

  test.each([["connectShared", "shared"], ["connect", "dedicated"]] as const)("%s: a tab that opens gets the broker at once, and what the service worker has under way settles", async (connect, kind) => {
    const { worker, stayed, tookMs, most } = await opening(connect);
    expect(worker).toBe(kind);
    expect(stayed).toBe(false);
    expect(tookMs).toBeLessThan(1000);
    expect(most).toBe(1);
  });

  test("control: a host that does not give way keeps it", async () => {
    for (const connect of ["connectShared", "connect"] as const) expect((await opening(connect, { worker: "dedicated" })).stayed).toBe(true);
  });

  test("a tab of an earlier version comes in at the door: it may not be able to read what was written", async () => {
    await live(async (origin) => {
      const worker = await origin.connectServiceWorker();
      const says = origin.channels.of(new Agent(origin.time, origin.locks))("tabmq/default/indexeddb/door");
      says.postMessage({ type: "stand", protocol: 1, format: 0 }, []);
      await origin.time.sleep(1000);
      expect(await hostOf(worker)).toMatchObject({ isHere: true, epoch: 1 });
      says.postMessage({ type: "stand", protocol: 1000, format: 1 }, []);
      await origin.time.sleep(1000);
      expect((await hostOf(worker)).epoch).toBe(2);
    });
  });

  test("behind a host that hangs it takes over as others do", async () => {
    await live(async (origin) => {
      origin.tellsOfFreezing = false;
      const tab = await origin.connect();
      await (await producerOf(tab)).send({ topic: "t", body: "before" });
      origin.freeze(tab);
      const worker = await origin.connectServiceWorker();
      expect(await hostOf(worker)).toMatchObject({ isHere: true, epoch: 2 });
      await (await producerOf(worker)).send({ topic: "t", body: "after" });
      expect(await stored(worker, "t")).toEqual(["after", "before"]);
    });
  });
});

test("of a database that was deleted a service worker knows nothing: the next tab reports the loss", async () => {
  let disk = new MemoryDisk();
  const origin = new TabOrigin(() => new MemoryStore(disk));
  await origin.time.run((async () => {
    const tab = await origin.connect();
    const producer = await producerOf(tab);
    for (let at = 0; at < 50; at++) await producer.send({ topic: "t", body: `${at}` });
    await tab.close();
    disk = new MemoryDisk();
    const worker = await origin.connectServiceWorker();
    expect((await worker.diagnostics()).broker.recovery.loss).toBe("none");
    const { queueOffset } = await (await producerOf(worker)).send({ topic: "t", body: "anew" });
    expect(queueOffset).toBe(0);
    await worker.close();
    const next = await origin.connect();
    expect((await next.diagnostics()).broker.recovery.loss).not.toBe("none");
    // From here on above everything that the tabs remember.
    expect((await (await producerOf(next)).send({ topic: "t", body: "above" })).queueOffset).toBeGreaterThan(50);
  })());
});

describe("work in the background", () => {
  const run = <T>(origin: TabOrigin, options: BackgroundOptions, work: Parameters<typeof inBackground<T>>[3]): Promise<T> =>
    inBackground((connect) => origin.connectServiceWorker(connect), origin.time, options, work);

  test("gives what the work gives, and leaves nothing behind", async () => {
    await live(async (origin) => {
      const result = await run(origin, {}, async (mq) => (await (await producerOf(mq)).send({ topic: "t", body: "x" })).queueOffset);
      expect(result).toBe(0);
      expect(origin.serving).toEqual([]);
      expect(origin.locks.names()).toEqual([]);
    });
  });

  test("a consumer's group is drained: every message consumed, and its offsets written", async () => {
    const disk = new MemoryDisk();
    await live(async (origin) => {
      const tab = await origin.connect();
      const producer = await producerOf(tab);
      for (let at = 0; at < 100; at++) await producer.send({ topic: "t", body: `${at}` });
      origin.killTab(tab);
      const got: string[] = [];
      const consume = (): Promise<void> =>
        run(origin, {}, async (mq, { drained }) => {
          await drained(await mq.createPushConsumer({
            consumerGroup: "g", subscriptions: { t: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
            messageListener: async (message) => {
              await origin.time.sleep(20);
              got.push(message.text());
            },
          }));
        });
      await consume();
      expect(got).toHaveLength(100);
      await consume();
      expect(got).toHaveLength(100);
    }, disk);
  });

  test("whatever tells how much waits is waited for", async () => {
    await live(async (origin) => {
      let left = 5;
      await run(origin, {}, (_mq, { drained }) => drained({ waiting: () => Promise.resolve(left--) }));
      expect(left).toBe(-1);
    });
  });

  test("the time is up: it ends in order and says so", async () => {
    await live(async (origin) => {
      const began = origin.time.monotonic();
      let wasTold = false;
      const work = run(origin, { limit: 5000 }, async (mq, { drained, signal }) => {
        signal.addEventListener("abort", () => (wasTold = true));
        await (await producerOf(mq)).send({ topic: "t", body: "done by then" });
        await drained({ waiting: () => Promise.resolve(1) });
      });
      await expect(work).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
      expect(wasTold).toBe(true);
      expect(origin.time.monotonic() - began).toBeLessThan(6000);
      expect(origin.locks.names()).toEqual([]);
      expect(await stored(await origin.connect(), "t")).toEqual(["done by then"]);
    });
  });

  test("a throw is passed on, and the connection closed", async () => {
    await live(async (origin) => {
      await expect(run(origin, {}, () => Promise.reject(new Error("no"))).catch((error: Error) => error.message)).resolves.toBe("no");
      await expect(run(origin, {}, () => { throw new Error("at once"); })).rejects.toThrow("at once");
      expect(origin.locks.names()).toEqual([]);
    });
  });

  test("an abort before or while it connects is CLOSED; a limit that is none is refused", async () => {
    await live(async (origin) => {
      await expect(run(origin, { signal: AbortSignal.abort() }, () => 1)).rejects.toMatchObject({ code: "CLOSED" });
      await expect(run(origin, { limit: 0 }, () => 1)).rejects.toMatchObject({ code: "INVALID_PARAMETER", field: "inBackground.limit" });
      await origin.time.sleep(10_000);
      expect(origin.locks.names()).toEqual([]);
    });
  });
});
