/** Two versions of this library that speak different ranges of the protocol: who meets whom, and what they are told. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { TabMQ } from "../../src/index.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import { NodeOrigin } from "../support/node-broker.ts";

const API = "../../src/protocol/api.ts";

let origins: NodeOrigin[] = [];
beforeEach(() => void (origins = []));
afterEach(async () => {
  await Promise.all(origins.map((origin) => origin.close()));
  vi.doUnmock(API);
  vi.resetModules();
});

/** An origin whose page and worker are of a version that speaks these protocols. */
async function version(range: [number, number]): Promise<NodeOrigin> {
  vi.resetModules();
  vi.doMock(API, async (actual) => ({ ...(await actual<object>()), PROTOCOL_RANGE: range, PROTOCOL_VERSION: range[1] }));
  const { NodeOrigin: Version } = (await import("../support/node-broker.ts")) as { NodeOrigin: typeof NodeOrigin };
  const made = new Version();
  origins.push(made);
  return made;
}

/** A page of the one version at a worker of the other. */
function meet(page: NodeOrigin, worker: NodeOrigin): Promise<TabMQ> {
  return page.connect({}, { locks: worker.locks, openBroker: () => ({ port: worker.port() as unknown as PortLike, onError: () => {} }) });
}

describe("a page and a worker of different versions", () => {
  test.each([
    ["an old page at a new worker", [1, 1], [2, 3], "This broker speaks protocol 2 to 3, the client 1 to 1."],
    ["a new page at an old worker", [2, 3], [1, 1], "This broker speaks protocol 1 to 1, the client 2 to 3."],
  ] as const)("%s is told UPGRADE_REQUIRED, at once, and the worker goes on with its own", async (_what, page, worker, message) => {
    const [theirs, ours] = [await version([...page]), await version([...worker])];
    const began = performance.now();
    await expect(meet(theirs, ours)).rejects.toMatchObject({ code: "UPGRADE_REQUIRED", outcome: "rejected", message: expect.stringContaining(message) as string });
    // Long before `connect` gives up: it does not ask again and again.
    expect(performance.now() - began).toBeLessThan(5000);
    // Not even a broker was started for it.
    expect([ours.host.broker, ours.disk.state.size]).toEqual([null, 0]);

    const own = await ours.connect();
    const producer = await own.createProducer({ producerGroup: "p" });
    await producer.send({ topic: "t", body: "before" });
    await expect(meet(theirs, ours)).rejects.toMatchObject({ code: "UPGRADE_REQUIRED" });
    await producer.send({ topic: "t", body: "after" });
    expect((await own.diagnostics()).broker).toMatchObject({ epoch: 1, sessions: 1 });
  });

  test.each([
    ["an old page at a new worker", [1, 1], [1, 2]],
    ["a new page at an old worker", [1, 2], [1, 1]],
  ] as const)("control: %s is served when both know a protocol", async (_what, page, worker) => {
    const [theirs, ours] = [await version([...page]), await version([...worker])];
    const mq = await meet(theirs, ours);
    const producer = await mq.createProducer({ producerGroup: "p" });
    expect((await producer.send({ topic: "t", body: "both know protocol 1" })).queueOffset).toBe(0);
    expect(await mq.admin.topics()).toHaveLength(1);
  });
});
