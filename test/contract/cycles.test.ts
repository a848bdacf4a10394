/** Connections come and go, without a browser: nothing of them stays in the process. In a browser: test/tabs/cycles.test.ts. */
import { queryObjects } from "node:v8";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Session } from "../../src/broker/session.ts";
import { Channel } from "../../src/client/channel.ts";
import { connectWith } from "../../src/client/connect-with.ts";
import type { ConnectOptions } from "../../src/client/connect.ts";
import { Connection } from "../../src/client/connection.ts";
import { Producer } from "../../src/client/producer.ts";
import { PushConsumer } from "../../src/client/push-consumer.ts";
import { TabMQ } from "../../src/client/tabmq.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { untraced } from "../support/untraced.ts";

const CYCLES = 300;
const CLASSES = { TabMQ, Connection, Channel, Producer, PushConsumer, Session, MessagePort, AbortController };

let origin: NodeOrigin;
beforeEach(() => void (origin = new NodeOrigin()));
afterEach(() => origin.close());

/** As the origin's own, but nobody remembers its ports. */
function connect(options: ConnectOptions = {}): Promise<TabMQ> {
  const openBroker = (): { port: PortLike; onError(): void } => {
    const { port1, port2 } = new MessageChannel();
    origin.host.accept(port2 as unknown as PortLike);
    return { port: port1 as unknown as PortLike, onError: () => {} };
  };
  return connectWith(() => origin.environment({ openBroker }), untraced(options));
}

/** Objects by class, after a collection of garbage, and what keeps the process running. */
function census(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [name, made] of Object.entries(CLASSES)) counts[name] = queryObjects(made as new () => object, { format: "count" }) as unknown as number;
  for (const kind of ["Timeout", "MessagePort"]) counts[`active ${kind}`] = process.getActiveResourcesInfo().filter((active) => active === kind).length;
  return counts;
}

async function cycle(kept: TabMQ[] | null = null): Promise<void> {
  const mq = await connect();
  const producer = await mq.createProducer({ producerGroup: "p" });
  await new Promise<void>((resolve, reject) => {
    const consumer = mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => resolve() });
    consumer.then(() => producer.send({ topic: "t", body: "x" })).catch(reject);
  });
  await mq.close();
  kept?.push(mq);
}

async function inVain(at: number): Promise<void> {
  const abort = new AbortController();
  if (at % 3 === 0) abort.abort();
  if (at % 3 === 1) setTimeout(() => abort.abort(), at % 4);
  await connect({ signal: abort.signal, ...(at % 3 === 2 && { encryptionKey: new Uint8Array(32) }) }).then((mq) => mq.close(), () => {});
}

describe(`${CYCLES} connections`, () => {
  test.each([["that send, consume and close", () => cycle()], ["in vain", inVain]])("%s leave nothing", async (_name, work) => {
    const keeper = await connect();
    for (let at = 0; at < 20; at++) await work(at);
    await expect.poll(() => origin.host.broker?.sessions.size).toBe(1);
    const before = census();
    for (let at = 0; at < CYCLES; at++) await work(at);
    // A session ends, and a port closes, a moment after its client. A class may have one that is on its way; a leak would be 100 at least.
    await expect.poll(() => Object.entries(census()).filter(([name, count]) => count > before[name]! + 10)).toEqual([]);
    await keeper.close();
    // A few seconds alone, and many on a machine that is busy with others.
  }, 120_000);

  test("control: what is kept is counted", async () => {
    const before = census();
    const kept: TabMQ[] = [];
    for (let at = 0; at < 20; at++) await cycle(kept);
    expect([census().TabMQ! - before.TabMQ! > 10, kept.length]).toEqual([true, 20]);
  });
});
