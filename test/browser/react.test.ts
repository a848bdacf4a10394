/** `tabmq/react` in StrictMode, which runs each effect twice, over a real SharedWorker. */
import { createElement, type ReactElement, startTransition, StrictMode, use, useState } from "react";
import { createRoot, type Root } from "react-dom/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { connect, defineTopic, MQError, type TabMQ } from "../../src/index.ts";
import { TabMQProvider, type TabMQProviderProps, useConsumer, useConsumerLag, useTabMQ, useTopic } from "../../src/react/index.ts";

const orders = defineTopic<{ id: number }>("orders");
let root: Root;
let place: HTMLElement;
let namespace: string;

beforeEach(() => {
  namespace = `react-${crypto.randomUUID()}`;
  place = document.body.appendChild(document.createElement("div"));
  root = createRoot(place);
});

afterEach(() => {
  root.unmount();
  place.remove();
});

function render(component: () => ReactElement, props: Omit<TabMQProviderProps, "children">): void {
  root.render(createElement(StrictMode, null, createElement(TabMQProvider, props, createElement(component))));
}

const text = (): string => place.textContent ?? "";
const held = async (): Promise<string[]> => (await navigator.locks.query()).held!.map(({ name }) => name!).filter((name) => name.startsWith(`tabmq/${namespace}/client/`));

let sendMany: (count: number) => Promise<unknown>;

function Shop(): ReactElement {
  const { status } = useTabMQ();
  const { send, pending } = useTopic(orders);
  const [got, setGot] = useState<number[]>([]);
  const consumer = useConsumer({ consumerGroup: "shop", topic: orders, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", listener: ({ id }) => setGot((before) => [...before, id].sort((a, b) => a - b)) });
  const { lag } = useConsumerLag("shop", { every: 50 });
  sendMany = (count) => Promise.all(Array.from({ length: count }, (_, id) => send({ id })));
  return createElement("p", null, `${status} ${consumer.status} queues:${consumer.assignment.length} got:${got.join(",")} lag:${lag} pending:${pending}`);
}

test("sends, consumes each message once, and tells the lag; all is closed with the component", async () => {
  render(Shop, { options: { namespace, host: "memory" } });
  await expect.poll(text).toContain("connected running");
  await sendMany(5);
  await expect.poll(text).toBe("connected running queues:4 got:0,1,2,3,4 lag:0 pending:0");
  // StrictMode has connected twice, and closed one of them.
  await expect.poll(held).toHaveLength(1);
  root.render(null);
  await expect.poll(held).toEqual([]);
});

test("a send before the connection is there waits for it", async () => {
  let sent: Promise<unknown> | undefined;
  render(() => {
    const { send } = useTopic("orders");
    const { mq } = useTabMQ();
    sent ??= mq === null ? send({ id: 1 }) : undefined;
    return createElement("p", null, mq === null ? "waits" : "there");
  }, { options: { namespace, host: "memory" } });
  await expect.poll(text).toBe("there");
  expect(await sent).toMatchObject({ sendStatus: "SEND_OK" });
});

test("a send for which there is no connection, or no component any more, rejects", async () => {
  let isBroken = true;
  const worker = (name: string): SharedWorker => {
    if (isBroken) throw new Error("no worker today");
    return new SharedWorker(new URL("../../src/broker/worker.ts", import.meta.url), { type: "module", name, extendedLifetime: true } as WorkerOptions);
  };
  let send!: ReturnType<typeof useTopic<{ id: number }>>["send"];
  let again!: () => void;
  render(() => {
    const { status, reconnect } = useTabMQ();
    again = reconnect;
    send = useTopic(orders).send;
    return createElement("p", null, status);
  }, { options: { namespace, host: "shared", worker } });
  await expect.poll(text).toBe("failed");
  await expect(send({ id: 1 })).rejects.toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT" });
  isBroken = false;
  again();
  await expect.poll(text).toBe("connected");
  expect(await send({ id: 1 })).toMatchObject({ sendStatus: "SEND_OK" });
  root.render(null);
  await expect.poll(text).toBe("");
  await expect(send({ id: 2 })).rejects.toMatchObject({ code: "CLOSED" });
});

test("a connection that is given is used and left open", async () => {
  const mq: TabMQ = await connect({ namespace, host: "memory" });
  render(Shop, { client: mq });
  await expect.poll(text).toContain("connected running");
  await sendMany(1);
  await expect.poll(text).toContain("got:0 lag:0");
  root.render(null);
  await expect.poll(async () => (await mq.admin.consumerConnections("shop")).connections).toEqual([]);
  expect(await mq.admin.topics()).toEqual(expect.arrayContaining([expect.objectContaining({ topic: "orders" })]));
  await mq.close();
});

test("a connection that has ended for good is shown as failed, and another can be made", async () => {
  let mq: TabMQ | null = null;
  render(() => {
    const { status, error, reconnect, ...state } = useTabMQ();
    const { status: consuming } = useConsumer({ consumerGroup: "g", topic: "t", listener: () => {} });
    mq = state.mq;
    return createElement("button", { onClick: reconnect }, `${status} ${error?.code ?? ""} ${consuming}`);
  }, { options: { namespace, host: "memory" } });
  await expect.poll(text).toBe("connected  running");
  const other = await connect({ namespace, host: "memory" });
  await other.admin.destroy();
  await expect.poll(text).toBe("failed CLOSED failed");
  expect(mq).toBeNull();
  place.querySelector("button")!.click();
  await expect.poll(text).toBe("connected  running");
});

test("so is one that was given and is closed; that one is the application's to replace", async () => {
  const mq = await connect({ namespace, host: "memory" });
  const shown: string[] = [];
  render(() => {
    const { status, error, reconnect } = useTabMQ();
    shown.push(status);
    return createElement("button", { onClick: reconnect }, `${status} ${error?.code ?? ""}`);
  }, { client: mq });
  await expect.poll(text).toBe("connected ");
  await mq.close();
  await expect.poll(text).toBe("failed CLOSED");
  shown.length = 0;
  place.querySelector("button")!.click();
  const next = await connect({ namespace, host: "memory" });
  expect(shown).toEqual([]);
  render(() => createElement("p", null, useTabMQ().status), { client: next });
  await expect.poll(text).toBe("connected");
  await next.close();
});

test("so is one that was closed before it was given", async () => {
  const mq = await connect({ namespace, host: "memory" });
  const end = new Promise((resolve) => void mq.on("closed", resolve));
  await mq.close();
  await end;
  render(() => {
    const { status, error } = useTabMQ();
    return createElement("p", null, `${status} ${error?.code ?? ""}`);
  }, { client: mq });
  await expect.poll(text).toBe("failed CLOSED");
});

test("why it cannot connect, or consume, is told", async () => {
  const seen: { status: string; code: string | undefined }[] = [];
  render(() => {
    const { status, error } = useTabMQ();
    const consumer = useConsumer({ consumerGroup: "g", topic: "t", listener: () => {} });
    seen.push({ status: consumer.status, code: error instanceof MQError ? error.code : undefined });
    return createElement("p", null, status);
  }, { options: { namespace: "no such name!" } });
  await expect.poll(text).toBe("failed");
  expect(seen.at(-1)).toEqual({ status: "failed", code: "INVALID_PARAMETER" });
});

test("it tries to connect again when it is told to", async () => {
  let isBroken = true;
  const worker = (name: string): SharedWorker => {
    if (isBroken) throw new Error("no worker today");
    return new SharedWorker(new URL("../../src/broker/worker.ts", import.meta.url), { type: "module", name, extendedLifetime: true } as WorkerOptions);
  };
  render(() => {
    const { status, error, reconnect } = useTabMQ();
    return createElement("button", { onClick: reconnect }, `${status} ${error?.code ?? ""}`);
  }, { options: { namespace, host: "shared", worker } });
  await expect.poll(text).toBe("failed UNSUPPORTED_ENVIRONMENT");
  isBroken = false;
  place.querySelector("button")!.click();
  await expect.poll(text).toBe("connected ");
});

test("a send that is refused rejects, and its reason is shown until one succeeds", async () => {
  let send: ReturnType<typeof useTopic<{ id: number }>>["send"] | undefined;
  render(() => {
    const topic = useTopic(orders);
    send = topic.send;
    return createElement("p", null, topic.error?.code ?? "fine");
  }, { options: { namespace, host: "memory" } });
  await expect.poll(() => send !== undefined).toBe(true);
  await expect(send!({ id: 2 }, { delayTimeLevel: 1, deliverAfter: 5 })).rejects.toMatchObject({ code: "MESSAGE_ILLEGAL" });
  await expect.poll(text).toBe("MESSAGE_ILLEGAL");
  await send!({ id: 2 });
  await expect.poll(text).toBe("fine");
});

test("the newest listener is called, and what it throws is shown", async () => {
  const mq = await connect({ namespace, host: "memory" });
  const producer = await mq.createProducer({ producerGroup: "p" });
  const got: string[] = [];
  const Billing = ({ word }: { word: string }): ReactElement => {
    const { status, error } = useConsumer({
      consumerGroup: "billing", topic: "orders", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET",
      listener: (message) => {
        if (message.text() === "bad") throw new Error("unlucky");
        got.push(`${word} ${message.text()}`);
      },
    });
    return createElement("p", null, `${word} ${status} ${error?.message.includes("unlucky") === true ? "unlucky" : ""}`);
  };
  const show = (word: string): void => root.render(createElement(StrictMode, null, createElement(TabMQProvider, { client: mq }, createElement(Billing, { word }))));
  show("one");
  await expect.poll(text).toBe("one running ");
  await producer.send({ topic: "orders", body: "1" });
  await expect.poll(() => got).toEqual(["one 1"]);
  show("two");
  await expect.poll(text).toBe("two running ");
  await producer.send({ topic: "orders", body: "2" });
  await expect.poll(() => got).toEqual(["one 1", "two 2"]);
  await producer.send({ topic: "orders", body: "bad" });
  await expect.poll(text).toBe("two running unlucky");
  root.render(null);
  await mq.close();
});

test("the listener of a render that is not shown is not called", async () => {
  const mq = await connect({ namespace, host: "memory" });
  await mq.admin.createTopic({ topic: "orders", readQueueNums: 1, writeQueueNums: 1 });
  const producer = await mq.createProducer({ producerGroup: "p" });
  const never = new Promise<void>(() => {});
  const got: string[] = [];
  let waits = false;
  const Billing = ({ word }: { word: string }): ReactElement => {
    const { status } = useConsumer({ consumerGroup: "billing", topic: "orders", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", listener: (message) => void got.push(`${word} ${message.text()}`) });
    if (word === "two") {
      waits = true;
      use(never);
    }
    return createElement("p", null, `${word} ${status}`);
  };
  const show = (word: string): void => root.render(createElement(TabMQProvider, { client: mq }, createElement(Billing, { word })));
  show("one");
  await expect.poll(text).toBe("one running");
  startTransition(() => show("two"));
  await expect.poll(() => waits).toBe(true);
  await producer.send({ topic: "orders", body: "1" });
  await expect.poll(() => got).toEqual(["one 1"]);
  root.render(null);
  await mq.close();
});

test("outside of a provider a hook says so", async () => {
  const thrown: unknown[] = [];
  const lonely = createRoot(place.appendChild(document.createElement("div")), { onUncaughtError: (error) => thrown.push(error) });
  lonely.render(createElement(() => createElement("p", null, useTabMQ().status)));
  await expect.poll(() => String(thrown[0])).toContain("outside of a TabMQProvider");
  lonely.unmount();
});
