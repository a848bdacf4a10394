/** Real tabs, real requests: a server that fails, asks for time, loses answers and goes away, and the tab that sends is killed. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { House, type Tab, until } from "../support/house.ts";

interface Try {
  order: string;
  key: string;
  tab: string;
  at: number;
  /** ms that the server asked for. */
  wait: number;
}

/** Takes each idempotency key once. */
const tries: Try[] = [];
const taken = new Map<string, string>();
let isAway = false;

async function api(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const order = await text(request).catch(() => null);
  if (order === null) return;
  const [key, tab] = [String(request.headers["idempotency-key"]), String(request.headers["x-tab"])];
  if (isAway) return void request.socket.destroy();
  const before = tries.filter((one) => one.order === order).length;
  const told = { order, key, tab, at: Date.now(), wait: 0 };
  tries.push(told);
  const answer = (status: number, headers: Record<string, string> = {}): void => void response.writeHead(status, headers).end();
  if (before === 0 && order === "b2") {
    told.wait = 2000;
    return answer(429, { "retry-after": new Date(Date.now() + 3000).toUTCString() });
  }
  if (before === 0 && order.endsWith("1")) {
    told.wait = 1000;
    return answer(503, { "retry-after": "1" });
  }
  if (before === 0 && order.endsWith("4")) return answer(500);
  if (order === "refused") return answer(422);
  if (!taken.has(key)) taken.set(key, order);
  // It is done, and the answer is lost.
  if (before === 0 && order.endsWith("3")) return void request.socket.destroy();
  answer(201);
}

let house: House;
beforeAll(async () => void (house = await House.open({ routes: { "/api/orders": (request, response) => void api(request, response) } })));
afterAll(() => house.close());

async function open(clientId: string): Promise<Tab> {
  const tab = await house.tab();
  await tab.connect({ namespace: "shop", clientId });
  await tab.run(async ({ mq, box }) => {
    await mq.admin.createTopic({ topic: "orders", readQueueNums: 1, writeQueueNums: 1 });
    const outbox = await mq.createHttpOutbox({
      consumerGroup: "sync", topic: "orders", minRetryDelay: 50, maxRetryDelay: 1000,
      request: () => ({ url: "/api/orders", headers: { "x-tab": mq.clientId } }),
    });
    box["outbox"] = outbox;
    box["heard"] = [];
    for (const name of ["sent", "dead"] as const) outbox.on(name, ({ keys }) => (box["heard"] as string[]).push(`${name} ${keys[0]}`));
  });
  return tab;
}

const progress = (tab: Tab): Promise<{ waiting: number; dead: number; senders: string[] }> =>
  tab.run(({ box }) => (box["outbox"] as { progress(): Promise<{ waiting: number; dead: number; senders: string[] }> }).progress());
const bodies = (): string[] => [...taken.values()];

test("every order is at the server once by its key, each customer's in their order, whatever fails and whoever dies", async () => {
  const tabs = { one: await open("one"), two: await open("two") };
  let sender = "";
  await expect.poll(async () => ({ one: 1, two: 2 })[(sender = (await progress(tabs.one)).senders[0] ?? "")], { timeout: 60_000 }).toBeDefined();
  const [doomed, other] = sender === "one" ? [tabs.one, tabs.two] : [tabs.two, tabs.one];
  const all = ["a1", "b1", "a2", "b2", "refused", "a3", "b3", "a4", "b4", "a5", "b5"];
  await other.run(async ({ producer }, orders) => {
    for (const order of orders) await producer.send({ topic: "orders", body: order, keys: order, ...(order.length === 2 && { messageGroup: order[0]! }) });
  }, all);
  await until(() => bodies().includes("a2"));
  // Killed between its tries, with the network gone.
  isAway = true;
  await doomed.crash();
  await until(async () => (await progress(other)).senders.join() !== sender);
  isAway = false;
  await until(async () => (await progress(other)).waiting === 0);

  for (const customer of ["a", "b"]) expect(bodies().filter((order) => order.startsWith(customer))).toEqual([1, 2, 3, 4, 5].map((at) => customer + at));
  expect(bodies().sort()).toEqual(all.filter((order) => order !== "refused").sort());
  for (const order of all) expect(new Set(tries.filter((one) => one.order === order).map(({ key }) => key)).size).toBe(1);
  // An answer that was lost is asked for again, and the order is not done again.
  expect(tries.filter(({ order }) => order === "a3").length).toBeGreaterThan(1);
  expect(await progress(other)).toMatchObject({ dead: 1 });
  expect(await other.run(({ box }) => box["heard"])).toContain("dead refused");
  for (const [at, { order, tab, wait, at: began }] of tries.entries()) {
    const next = tries.slice(at + 1).find((one) => one.order === order);
    // Another tab does not know what the first was asked.
    if (wait > 0 && next?.tab === tab) expect(next.at - began, order).toBeGreaterThanOrEqual(wait - 50);
  }
  expect(tries.some(({ wait }) => wait > 0)).toBe(true);
});
