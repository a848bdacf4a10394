/** What one element keeps of its connection. */
import { describe, expect, test } from "vitest";
import { parsePath } from "../../src/devtools/router.ts";
import { Session } from "../../src/devtools/session.ts";
import { MQError, type TabMQ } from "../../src/index.ts";

/** An application's connection, for which nothing can be made the first time. */
function unlucky(): { client: TabMQ; calls: string[] } {
  const calls: string[] = [];
  const make = (what: string) => async (): Promise<unknown> => {
    calls.push(what);
    if (calls.filter((call) => call === what).length === 1) throw new MQError("UNSUPPORTED_ENVIRONMENT", "the code could not be loaded");
    return { what, shutdown: async () => {} };
  };
  const client = { namespace: "n", on: () => () => {}, diagnostics: async () => ({}), createProducer: make("producer"), createPullConsumer: make("reader") };
  return { client: client as unknown as TabMQ, calls };
}

describe("a session", () => {
  test.each(["producer", "reader"] as const)("makes a %s anew when it could not be made, and then keeps it", async (what) => {
    const { client, calls } = unlucky();
    const session = new Session("n", { client });
    await session.open();
    await expect(session[what]()).rejects.toThrow("could not be loaded");
    expect(await session[what]()).toMatchObject({ what });
    expect(await session[what]()).toBe(await session[what]());
    expect(calls).toEqual([what, what]);
    await session.close();
  });

  test("says why there is no connection in words for people, and does not try again what cannot succeed", async () => {
    const session = new Session("a b");
    expect(await session.open()).toBe(false);
    expect([session.phase.value, session.isTrying.value]).toEqual(["failed", false]);
    expect(session.failure.value).toMatch(/^[A-Z].*may only contain/);
    await session.close();
  });
});

describe("a path", () => {
  test("has its query behind the first question mark, with those that are in it", () => {
    expect(parsePath("/messages?topic=orders&key=a?b")).toEqual({ panel: "messages", args: [], query: { topic: "orders", key: "a?b" } });
    expect(parsePath("/topics/%/x?")).toEqual({ panel: "topics", args: ["%", "x"], query: {} });
    expect(parsePath("")).toEqual({ panel: "", args: [], query: {} });
  });
});
