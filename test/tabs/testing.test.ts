/** dist/testing.js and dist/react.js in plain Node, as an application's own vitest has them. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { DIST } from "../support/house.ts";

const load = <Module>(file: string): Promise<Module> => import(/* @vite-ignore */ pathToFileURL(join(DIST, file)).href) as Promise<Module>;
let tabmq: typeof import("../../src/index.ts");
let testing: typeof import("../../src/testing/index.ts");

beforeAll(async () => {
  [tabmq, testing] = await Promise.all([load<typeof tabmq>("index.js"), load<typeof testing>("testing.js")]);
});

describe("tabmq/testing", () => {
  test("the README's example: a mail goes out an hour later, is tried again, and once", async () => {
    const { createTestBroker } = testing;
    const broker = createTestBroker();
    const mq = await broker.connect();
    const send = vi.fn().mockRejectedValueOnce(new Error("busy"));
    await mq.createPushConsumer({ consumerGroup: "mailer", subscriptions: { mail: "*" }, messageListener: (message) => send(message.json()) as Promise<void> });
    const producer = await mq.createProducer({ producerGroup: "app" });

    await producer.send({ topic: "mail", body: { to: "ada" }, deliverAfter: 3_600_000 });
    await broker.clock.advance(3_599_999);
    expect(send).not.toHaveBeenCalled();
    await broker.clock.advance(1);
    expect(send).toHaveBeenCalledTimes(1);
    await broker.clock.advance(10_000);
    expect(send).toHaveBeenCalledTimes(2);
    await broker.close();
  });

  test("under vitest's fake timers too", async () => {
    vi.useFakeTimers();
    try {
      const broker = testing.createTestBroker();
      const mq = await broker.connect();
      const producer = await mq.createProducer({ producerGroup: "app" });
      expect((await producer.send({ topic: "t", body: "1", deliverAfter: 1000 })).sendStatus).toBe("SEND_OK");
      await broker.clock.advance(1000);
      await broker.close();
    } finally {
      vi.useRealTimers();
    }
  });

  test("it is a copy of the package, and what either makes is the other's", async () => {
    const broker = testing.createTestBroker();
    const mq = await broker.connect();
    const producer = await mq.createProducer({ producerGroup: "app" });
    broker.failNextSend({ code: "DEADLINE_EXCEEDED" });
    const refused = await producer.send({ topic: "t", body: "1" }).then(() => null, (error: unknown) => error);
    expect(refused).toBeInstanceOf(tabmq.MQError);
    expect(refused).not.toBeInstanceOf(tabmq.ImportError);
    // The control: nothing else is one.
    expect(new Error("DEADLINE_EXCEEDED")).not.toBeInstanceOf(tabmq.MQError);
    const got: string[] = [];
    await mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: tabmq.MessageSelector.bySql("amount > 5") }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: (message) => void got.push(message.text()) });
    for (const amount of ["3", "7"]) await producer.send({ topic: "t", body: amount, properties: { amount } });
    await broker.clock.advance(1000);
    expect(got).toEqual(["7"]);
    await broker.close();
  });

  test("the file needs no other, and no test keeps Node alive", async () => {
    expect(readFileSync(join(DIST, "testing.js"), "utf8")).not.toMatch(/^\s*(import|export)\b[^;]*\bfrom\b|\bimport\(/m);
    const script = `
      const { createTestBroker } = await import(${JSON.stringify(pathToFileURL(join(DIST, "testing.js")).href)});
      const broker = createTestBroker();
      const producer = await (await broker.connect()).createProducer({ producerGroup: "p" });
      console.log((await producer.send({ topic: "t", body: "1" })).sendStatus);`;
    // Without close: it ends all the same.
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
    expect(stdout.trim()).toBe("SEND_OK");
  });
});

test("tabmq/react renders on a server: not connected yet, and nothing is touched", async () => {
  const [{ createElement }, { renderToString }, { TabMQProvider, useTabMQ, useConsumer, useTopic }] = await Promise.all([import("react"), import("react-dom/server"), load<typeof import("../../src/react/index.ts")>("react.js")]);
  const Page = (): string => {
    useTopic("orders");
    return `${useTabMQ().status} ${useConsumer({ consumerGroup: "g", topic: "orders", listener: () => {} }).status}`;
  };
  expect(renderToString(createElement(TabMQProvider, null, createElement(Page)))).toBe("connecting connecting");
  expect(readFileSync(join(DIST, "react.js"), "utf8").startsWith(`"use client";`)).toBe(true);
});
