import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Acked, lost, undelivered } from "../support/history.ts";
import { bundle, House, type TabConnect, until } from "../support/house.ts";

let house: House;
beforeAll(async () => {
  house = await House.open({ pages: { "/no-watch.js": await bundle(join(import.meta.dirname, "../fault/workers/no-watch.ts")) } });
});
afterEach(() => house.closeTabs());
afterAll(() => house.close());

const of = <T extends { topic: string }>(list: readonly T[], topic: string): T[] => list.filter((message) => message.topic === topic);

/** Three messages are in the hands of a tab, of which another one gets none, when it crashes. */
async function crashedWithMessagesInHand(topic: string, connect: TabConnect): Promise<Acked[]> {
  const [host, victim, heir] = [await house.tab(), await house.tab(), await house.tab()];
  // Members share in the order of their client ids: the one queue is the victim's.
  for (const [clientId, tab] of Object.entries({ host, a: victim, b: heir })) await tab.connect({ ...connect, namespace: topic, clientId });
  await host.createTopic(topic, 1);
  await victim.run(async (side, given) => {
    side.consumer = await side.mq.createPushConsumer({
      consumerGroup: "g",
      subscriptions: { [given]: "*" },
      consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      messageListener: () => {
        side.box.got = ((side.box.got as number | undefined) ?? 0) + 1;
        return new Promise(() => {});
      },
    });
  }, topic);
  await until(async () => (await victim.assignment()).length === 1);
  await heir.consume("g", topic, "heir");
  const acked = await host.send(topic, ["a", "b", "c"]);
  await until(async () => (await victim.run(({ box }) => box.got)) === 3);
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(of(house.history.delivered, topic)).toEqual([]);
  await victim.crash();
  return acked;
}

describe("a tab crashes", () => {
  test("what a crashed consumer had in hand is delivered to another, and before the crash to nobody else", async () => {
    const acked = await crashedWithMessagesInHand("hand", {});
    await until(() => undelivered(acked, house.history.delivered).length === 0);
  });

  test("control: a worker that does not watch the tabs' locks leaves them with the dead, as long as a silent member has", async () => {
    const acked = await crashedWithMessagesInHand("nowatch", { worker: "/no-watch.js" });
    await new Promise((resolve) => setTimeout(resolve, 3000));
    expect(undelivered(acked, house.history.delivered)).toHaveLength(3);
  });

  test("the tab with the worker crashes: the others go on, no call hangs, nothing acknowledged is lost", async () => {
    const [creator, sender, consumer] = [await house.tab(), await house.tab(), await house.tab()];
    for (const tab of [creator, sender, consumer]) await tab.connect({ namespace: "host" });
    await consumer.consume("g", "host", "c");
    await sender.run((side) => {
      const { box, mq, producer, report } = side;
      box.events = [];
      box.next = 0;
      box.pending = 0;
      mq.on("disconnected", () => void (box.events as string[]).push("disconnected"));
      mq.on("connected", () => void (box.events as string[]).push("connected"));
      // Ten senders, each awaiting its answer before the next message.
      const work = async (): Promise<void> => {
        while (box.stop !== true) {
          const body = String(box.next);
          box.next = (box.next as number) + 1;
          box.pending = (box.pending as number) + 1;
          try {
            const { msgId, messageQueue, queueOffset } = await producer.send({ topic: "host", body, tags: "t" });
            await report({ kind: "acked", messages: [{ producer: "s", topic: "host", queueId: messageQueue.queueId, queueOffset, msgId, content: `t ${body}` }] });
          } catch (error) {
            const { code, outcome } = error as { code: string; outcome: string };
            await report({ kind: "failed", producer: "s", code, outcome });
          }
          box.pending = (box.pending as number) - 1;
        }
      };
      box.done = Promise.all(Array.from({ length: 10 }, work));
    });
    const acked = (): typeof house.history.acked => of(house.history.acked, "host");
    await until(() => acked().length > 100);
    const before = await sender.run(async ({ mq }) => (await mq.diagnostics()).broker.epoch);
    await creator.crash();
    const atCrash = acked().length;
    await until(() => acked().length > atCrash + 200);
    await sender.run(({ box }) => void (box.stop = true));
    await until(async () => (await sender.run(({ box }) => box.pending)) === 0);
    expect(await sender.run(({ box }) => box.events)).toEqual(["disconnected", "connected"]);
    expect(await sender.run(async ({ mq }) => (await mq.diagnostics()).broker.epoch)).toBe(before + 1);
    expect(house.history.failed).toEqual([]);
    expect(lost(acked(), await sender.readAll("host"))).toEqual([]);
    await until(() => undelivered(acked(), house.history.delivered).length === 0);
  });

  test("control: a call on a port of the dead worker is never answered", async () => {
    const [creator, other] = [await house.tab(), await house.tab()];
    await creator.connect({ namespace: "dead" });
    await other.connect({ namespace: "dead" });
    await other.run(({ box }) => {
      const worker = new SharedWorker("/dist/worker.js", { type: "module", name: "tabmq/1/dead/indexeddb/xl1", extendedLifetime: true } as WorkerOptions);
      const ask = (id: string): void => worker.port.postMessage({ id, type: "APPLY", path: ["ping"], argumentList: [] }, []);
      box.answers = [];
      worker.port.onmessage = ({ data }) => void (box.answers as string[]).push((data as { id: string }).id);
      box.ask = ask;
      ask("alive");
    });
    await until(async () => (await other.run(({ box }) => (box.answers as string[]).length)) === 1);
    await creator.crash();
    await other.run(({ box }) => (box.ask as (id: string) => void)("dead"));
    await other.send("dead", ["the library goes on"]);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await other.run(({ box }) => box.answers)).toEqual(["alive"]);
  });

  test("the only tab is reloaded while it sends: what was acknowledged is there, and it sends again", async () => {
    const tab = await house.tab();
    await tab.connect({ namespace: "reload" });
    for (let round = 0; round < 3; round++) {
      await tab.run(({ producer, report }, turn) => {
        for (let at = 0; at < 500; at++) {
          const body = `${turn}/${at}`;
          const told = producer.send({ topic: "reload", body, tags: "t" }).then(({ msgId, messageQueue, queueOffset }) =>
            report({ kind: "acked", messages: [{ producer: "s", topic: "reload", queueId: messageQueue.queueId, queueOffset, msgId, content: `t ${body}` }] }),
          );
          told.catch(() => {});
        }
      }, round);
      const had = of(house.history.acked, "reload").length;
      await until(() => of(house.history.acked, "reload").length > had, 1);
      await tab.page.reload();
      await tab.connect({ namespace: "reload" });
      const present = await tab.readAll("reload");
      expect(lost(of(house.history.acked, "reload"), present)).toEqual([]);
    }
    await tab.send("reload", ["after"]);
  });
});
