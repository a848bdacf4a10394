import { execFile } from "node:child_process";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { DIST, House, until } from "../support/house.ts";

const run = promisify(execFile);

describe("the built package in Node", () => {
  test("imports without touching a global, and connect says what is missing", async () => {
    const script = `
      // Whoever reads one of these at import finds out.
      for (const name of ["window", "self", "document", "navigator", "indexedDB", "SharedWorker", "Worker", "localStorage", "location"]) {
        Object.defineProperty(globalThis, name, { configurable: true, get() { throw new Error("touched " + name); } });
      }
      const before = Object.getOwnPropertyNames(globalThis).sort().join();
      const tabmq = await import(${JSON.stringify(pathToFileURL(join(DIST, "index.js")).href)});
      if (Object.getOwnPropertyNames(globalThis).sort().join() !== before) throw new Error("left something in globalThis");
      for (const name of ["window", "self", "document", "navigator", "indexedDB", "SharedWorker", "Worker", "localStorage", "location"]) delete globalThis[name];
      const error = await tabmq.connect().then(() => null, (error) => error);
      console.log(JSON.stringify({ code: error?.code, isMQError: error instanceof tabmq.MQError, names: Object.keys(tabmq) }));`;
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
    const result = JSON.parse(stdout) as { code: string; isMQError: boolean; names: string[] };
    expect(result).toMatchObject({ code: "UNSUPPORTED_ENVIRONMENT", isMQError: true });
    expect(result.names).toContain("connect");
  });
});

describe(`host: "memory"`, () => {
  let house: House;
  afterEach(() => house.close());

  test("tabs share it, it says that nothing survives, and nothing does", async () => {
    house = await House.open();
    const [a, b] = [await house.tab(), await house.tab()];
    await Promise.all([a, b].map((tab) => tab.connect({ namespace: "ram", host: "memory" })));
    await b.consume("g", "ram", "b");
    await a.send("ram", ["one", "two"]);
    await until(() => house.history.delivered.length === 2);
    const told = await a.run(async ({ mq }) => {
      const { durability, broker } = await mq.diagnostics();
      return { durability, storage: broker.storage, databases: await indexedDB.databases() };
    });
    expect(told).toEqual({ durability: "memory", storage: "memory", databases: [] });
    await house.closeTabs();
    await house.restart();
    const again = await house.tab();
    await again.connect({ namespace: "ram", host: "memory" });
    expect(await again.run(({ mq }) => mq.admin.topics())).toEqual([]);
  });

  test("a namespace in memory and the same one in IndexedDB do not meet", async () => {
    house = await House.open();
    const [memory, disk] = [await house.tab(), await house.tab()];
    await memory.connect({ namespace: "both", host: "memory" });
    await disk.connect({ namespace: "both" });
    await memory.send("m", ["in memory"]);
    await disk.send("d", ["on disk"]);
    const topics = await Promise.all([memory, disk].map((tab) => tab.run(async ({ mq }) => (await mq.admin.topics()).map(({ topic }) => topic))));
    expect(topics).toEqual([["m"], ["d"]]);
  });
});
