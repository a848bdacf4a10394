/** Names are joined to keys of locks, databases and rows: no two of them may join to the same. */
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { brokerLock, writerLock } from "../../src/protocol/lock-names.ts";
import { checkClientTopic, checkGroup, checkNamespace } from "../../src/model/names.ts";
import { queueKey } from "../../src/model/queue.ts";
import { NodeOrigin } from "../support/node-broker.ts";
import { fuzz } from "./fuzz.ts";
import { goodHello } from "./hostile-messages.ts";

const passes = (check: (name: unknown, field?: string) => void, name: string): boolean => {
  try {
    check(name);
    return true;
  } catch {
    return false;
  }
};
/** Made of what keys are made of. */
const legal = fc.string({ unit: fc.constantFrom("a", "b", "%", "|", "_", "-", "0", "1"), minLength: 1, maxLength: 4 });
const illegal = fc.string({ unit: fc.constantFrom("a", "/", ":", ".", "ä", "\u0000", "\ud800", "1"), minLength: 1, maxLength: 4 });
const name = fc.oneof({ weight: 9, arbitrary: legal }, { weight: 1, arbitrary: illegal });
const pair = fc.tuple(name, name);

describe("keys", () => {
  fuzz("locks of different namespaces are different, and no client's lock is another's broker", fc.tuple(pair, pair), 3000, ([[a, x], [b, y]]) => {
    if (a === b || !passes(checkNamespace, a) || !passes(checkNamespace, b)) return;
    const locks = (namespace: string, id: string): string[] => [writerLock(namespace), brokerLock(namespace, id), `tabmq/${namespace}/client/${id}`];
    // Whatever stands behind the namespace, even what no broker would ever put there.
    for (const mine of locks(a, x)) for (const theirs of locks(b, y)) expect(mine).not.toBe(theirs);
  });

  fuzz("rows of different groups, topics and queues are different", fc.tuple(pair, pair, fc.nat({ max: 127 }), fc.nat({ max: 127 })), 3000, ([[g, t], [h, u], m, n]) => {
    if (![g, h].every((one) => passes(checkGroup, one)) || ![t, u].every((one) => passes(checkClientTopic, one))) return;
    expect(`offset/${g}/${t}` === `offset/${h}/${u}`).toBe(g === h && t === u);
    expect(queueKey(t, m) === queueKey(u, n)).toBe(t === u && m === n);
  });

  test("control: with a slash in names they would meet", () => {
    expect(`offset/${"a/b"}/${"c"}`).toBe(`offset/${"a"}/${"b/c"}`);
    expect(passes(checkGroup, "a/b") || passes(checkClientTopic, "b/c") || passes(checkNamespace, "a/b")).toBe(false);
  });
});

describe("a worker serves its own namespace", () => {
  const origin = new NodeOrigin();
  afterEach(() => origin.close());

  test.each([
    ["another namespace", { namespace: "other", lockName: "tabmq/other/client/x" }, "hello.namespace"],
    ["another store", { storage: "memory" }, "hello.namespace"],
    ["a namespace that is a path", { namespace: "default/../other" }, "hello.namespace"],
    ["another namespace's lock", { lockName: "tabmq/other/client/x" }, "hello.lockName"],
    ["the writer's lock", { lockName: "tabmq/default/writer" }, "hello.lockName"],
    ["a lock of the page's own", { lockName: "my-lock" }, "hello.lockName"],
  ])("and refuses %s", async (_name, changed, field) => {
    await origin.connect();
    const port = origin.port();
    const answer = new Promise((resolve) => port.addEventListener("message", ({ data }: MessageEvent<{ value: unknown }>) => resolve(data.value)));
    port.start();
    port.postMessage({ id: "1", type: "APPLY", path: ["hello"], argumentList: [{ type: "RAW", value: { ...goodHello, ...changed } }] }, []);
    expect(await answer).toMatchObject({ ok: false, error: { code: "INVALID_PARAMETER", field } });
  });
});
