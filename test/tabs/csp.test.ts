import { afterEach, describe, expect, test } from "vitest";
import { House } from "../support/house.ts";
import { TAGGED_A } from "../support/wasm-filters.ts";

let house: House;
afterEach(() => house.close());

const policy = (value: string): Record<string, string> => ({ "content-security-policy": value });
const STRICT = "default-src 'self'";
const WITH_WASM = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/** Sends, reads back, and says which indexer did it. */
async function indexerUnder(headers: Record<string, Record<string, string>>): Promise<string> {
  house = await House.open({ headers });
  const tab = await house.tab();
  await tab.connect({ namespace: "csp" });
  const acked = await tab.send("csp", ["a", "b", "c"]);
  expect(await tab.readAll("csp")).toHaveLength(acked.length);
  return tab.run(async ({ mq }) => (await mq.diagnostics()).broker.indexer);
}

describe("Content-Security-Policy", () => {
  test("a worker that may not compile WebAssembly works with the TypeScript indexer", async () => {
    expect(await indexerUnder({ "/dist/worker.js": policy(STRICT) })).toBe("typescript");
  });

  test("a worker that may, uses it", async () => {
    expect(await indexerUnder({ "/dist/worker.js": policy(WITH_WASM) })).toBe("wasm");
  });

  test.each([[STRICT, "UNSUPPORTED_ENVIRONMENT"], [WITH_WASM, "joined"]])("a filter in WebAssembly in a worker under %s: %s", async (value, expected) => {
    house = await House.open({ headers: { "/dist/worker.js": policy(value) } });
    const tab = await house.tab();
    await tab.connect({ namespace: "csp", broker: { enableWasmFilter: true } });
    const outcome = await tab.run(async ({ mq, tabmq }, bytes) => {
      const selector = tabmq.MessageSelector.byWasm(Uint8Array.from(bytes));
      const joined = mq.createPushConsumer({ consumerGroup: "g", subscriptions: { csp: selector }, messageListener: () => {} });
      return joined.then(() => "joined", (error: { code: string }) => error.code);
    }, [...TAGGED_A]);
    expect(outcome).toBe(expected);
  });

  test("a page under default-src 'self' works", async () => {
    expect(await indexerUnder({ "/": policy(STRICT) })).toBeDefined();
  });

  test("a page that may not start the worker is told so at once", async () => {
    house = await House.open({ headers: { "/": policy("default-src 'self'; worker-src 'none'") } });
    const tab = await house.tab();
    const { code, tookMs } = await tab.tryConnect({ namespace: "csp" });
    expect(code).toBe("UNSUPPORTED_ENVIRONMENT");
    expect(tookMs).toBeLessThan(8_000);
  });

  test("a worker whose script is not served: told so at once, and not after the connect timeout", async () => {
    house = await House.open();
    const tab = await house.tab();
    const { code, tookMs } = await tab.tryConnect({ namespace: "csp", worker: "/no-such-worker.js" });
    expect(code).toBe("UNSUPPORTED_ENVIRONMENT");
    expect(tookMs).toBeLessThan(8_000);
    // The control: the same way with a script that is there.
    expect((await tab.tryConnect({ namespace: "csp", worker: "/dist/worker.js" })).code).toBe("connected");
  });
});
