/** What is in dist/, beside what `import "tabmq"` gives: the worker's text, and the package where there is no browser. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DIST, House, type Tab } from "../support/house.ts";

type Inline = typeof import("../../src/worker-inline.ts");

const run = promisify(execFile);
const INDEX = join(DIST, "index.js");

/** Runs a script of its own in Node, with nothing of vitest in it. */
async function inNode(type: "module" | "commonjs", script: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, [`--input-type=${type}`, "-e", script]);
  return JSON.parse(stdout);
}

/** `import`: environments.test.ts. */
describe("in Node", () => {
  test("require gives what import gives, and connect says what is missing", async () => {
    const refused = await inNode("commonjs", `
      const tabmq = require(${JSON.stringify(INDEX)});
      tabmq.connect().catch(({ code, message }) => console.log(JSON.stringify({ code, message })));`);
    expect(refused).toEqual({ code: "UNSUPPORTED_ENVIRONMENT", message: expect.stringContaining("missing here: Worker") as string });
  });

  test("the worker's text too can be imported", async () => {
    const file = pathToFileURL(join(DIST, "worker-inline.js")).href;
    expect(await inNode("module", `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(file)}))))`)).toEqual(["startInlineWorker"]);
  });

  test("nothing loads the worker's text before it is asked for", () => {
    for (const file of ["index.js", "core.js", "rules.js", "clients.js"]) expect(readFileSync(join(DIST, file), "utf8")).not.toMatch(/from "\.\/worker-inline\.js"/);
  });
});

describe("types", () => {
  const ROOT = join(DIST, "..");
  const TYPED = ["tabmq", "tabmq/worker-inline", "tabmq/service-worker", "tabmq/devtools", "tabmq/react", "tabmq/testing"];
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tabmq-types-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** What an application's compiler says that looks at all declarations, where nothing is installed but the package and React. */
  async function complaints(resolution: string, more = ""): Promise<string> {
    const installed = join(folder, "node_modules/tabmq");
    await mkdir(join(folder, "node_modules/@types"), { recursive: true });
    await cp(join(ROOT, "package.json"), join(installed, "package.json"));
    await cp(DIST, join(installed, "dist"), { recursive: true, filter: (path) => !path.includes("playground") && (!path.includes(".") || !/\.(js|map|css|html|png)$/.test(path)) });
    await symlink(join(ROOT, "node_modules/@types/react"), join(folder, "node_modules/@types/react"), "junction");
    await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    const imports = TYPED.map((name, at) => `import * as m${at} from "${name}";\nexport const e${at} = m${at};\n`).join("");
    await writeFile(join(folder, "app.ts"), `${imports}
      // What the element is, and what has Symbol.asyncDispose.
      export const client: m0.TabMQ | undefined = document.querySelector("tabmq-devtools")?.client;
      ${more}`);
    const module = resolution === "bundler" ? "esnext" : resolution;
    const compilerOptions = {
      strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, verbatimModuleSyntax: true, skipLibCheck: false, noEmit: true,
      target: "es2022", lib: ["es2022", "dom", "dom.iterable"], types: [], module, moduleResolution: resolution,
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["app.ts"] }));
    return run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder]).then(({ stdout }) => stdout, (error: { stdout: string }) => error.stdout);
  }

  test.each(["bundler", "node16", "nodenext"])("say all they need, with moduleResolution %s", async (resolution) => {
    expect(await complaints(resolution)).toBe("");
  });

  test("control: what is not there is found out", async () => {
    expect(await complaints("bundler", `import type { VNode } from "preact"; export type V = VNode; export const n: number = m0.connect;`)).toMatch(/'preact'[^]*TS2322/);
  });
});

test("tabmq-copy-worker: what it copies and says works with and without a SharedWorker", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tabmq-copy-"));
  const { stdout: said } = await run(process.execPath, [join(DIST, "../src/bin/copy-worker.js"), folder]);
  const own = await House.open({
    pages: {
      "/tabmq-worker.js": readFileSync(join(folder, "tabmq-worker.js"), "utf8"),
      "/without": `<!doctype html><script>delete globalThis.SharedWorker</script><script type="module" src="/page.js"></script>`,
    },
  });
  try {
    for (const [path, kind] of [["/", "shared"], ["/without", "dedicated"]] as const) {
      const tab = await own.tab(path);
      const host = await tab.run(async ({ tabmq }, { words, namespace }) => {
        const code = /connect\([^]*?\n {2}\}\)/.exec(words)![0];
        const connect: typeof tabmq.connect = (options) => tabmq.connect({ ...options, namespace });
        const mq = await (new Function("connect", `return ${code}`) as (given: typeof connect) => ReturnType<typeof connect>)(connect);
        const { host: told } = await mq.diagnostics();
        await mq.close();
        return told;
      }, { words: said, namespace: kind });
      expect(host).toMatchObject({ kind });
      await tab.page.close();
    }
  } finally {
    await own.close();
    await rm(folder, { recursive: true });
  }
});

describe("the worker's text", () => {
  let house: House | undefined;
  afterEach(() => house?.close());

  /** A page that has both: the library, and what starts the worker from its text. */
  async function open(headers: Record<string, Record<string, string>> = {}): Promise<Tab> {
    house = await House.open({
      headers,
      pages: {
        "/inline": `<!doctype html><script type="module" src="/page.js"></script><script type="module" src="/inline.js"></script>`,
        "/inline.js": `import * as inline from "/dist/worker-inline.js"; globalThis.side.box.inline = inline;`,
      },
    });
    return house.tab("/inline");
  }

  test("is dist/worker.js", async () => {
    const script = readFileSync(join(DIST, "worker.js"), "utf8").replace(/\/\/# sourceMappingURL=.*\s*$/, "").trimEnd();
    const file = pathToFileURL(join(DIST, "worker-inline.js")).href;
    const text = await inNode("module", `
      let made;
      URL.createObjectURL = (blob) => ((made = blob), "blob:");
      globalThis.Worker = class {};
      (await import(${JSON.stringify(file)})).startInlineWorker();
      console.log(JSON.stringify((await made.text()).trimEnd()));`);
    expect(text).toBe(script);
  });

  test("runs a broker over this origin's IndexedDB, in a dedicated worker", async () => {
    const tab = await open();
    const starting = tab.chromium.waitForEvent("worker");
    await tab.run(({ box }) => {
      box.worker = (box.inline as Inline).startInlineWorker("inline");
    });
    const worker = await starting;
    expect(worker.url()).toMatch(/^blob:/);
    // As long as the script itself knows ports by `connect` events only.
    await worker.evaluate(() => {
      const scope = self as unknown as { onmessage: unknown; onconnect(event: unknown): void };
      scope.onmessage ??= (event: unknown) => scope.onconnect(event);
    });
    const read = await tab.run(async ({ tabmq, box }) => {
      const { port1: port, port2 } = new MessageChannel();
      (box.worker as Worker).postMessage(null, [port2]);
      const mq = await tabmq.connect({ namespace: "inline", worker: () => Object.assign(new EventTarget(), { port }) as unknown as SharedWorker });
      const producer = await mq.createProducer({ producerGroup: "p" });
      const { messageQueue, queueOffset } = await producer.send({ topic: "t", body: "from the text" });
      const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
      const { messages } = await pull.pull(messageQueue, "*", queueOffset, 1);
      const { storage, indexer } = (await mq.diagnostics()).broker;
      return { storage, indexer, bodies: messages.map((message) => message.text()), databases: (await indexedDB.databases()).map(({ name }) => name) };
    });
    expect(read).toEqual({ storage: "indexeddb", indexer: "wasm", bodies: ["from the text"], databases: ["tabmq/inline"] });
  });

  test("is refused by a policy that does not allow blob:", async () => {
    const tab = await open({ "/inline": { "content-security-policy": "default-src 'self'; worker-src 'self'" } });
    const outcome = await tab.run(async ({ box }) => {
      return new Promise<string>((resolve) => {
        try {
          (box.inline as Inline).startInlineWorker().addEventListener("error", () => resolve("refused"));
        } catch {
          resolve("refused");
        }
      });
    });
    expect(outcome).toBe("refused");
  });

  describe("where the worker's file is not served", () => {
    const missing = (_request: IncomingMessage, response: ServerResponse): void => void response.writeHead(404).end();
    const tell = async (tab: Tab): Promise<{ kind: string; code: string; reason: string; incarnation: string; writers: number }> =>
      tab.run(async ({ mq }) => {
        const { host: { kind, code, reason }, broker: { incarnation } } = await mq.diagnostics();
        const { held = [] } = await navigator.locks.query();
        return { kind, code, reason, incarnation, writers: held.filter(({ name }) => name === "tabmq/inline/writer").length };
      });

    test("one tab runs the text for all; when that tab goes, another does", async () => {
      house = await House.open({ routes: { "/dist/worker.js": missing } });
      const [first, second] = [await house.tab(), await house.tab()];
      await Promise.all([first.connect({ namespace: "inline" }), second.connect({ namespace: "inline" })]);
      const told = await Promise.all([tell(first), tell(second)]);
      expect(told[0]).toEqual(told[1]);
      expect(told[0]).toMatchObject({ kind: "dedicated", code: "SHARED_WORKER_FAILED", writers: 1 });
      expect(told[0]?.reason).toContain("SharedWorker failed to start");
      await first.run(({ producer }) => producer.send({ topic: "t", body: "from the text" }));
      const hosts = (await first.run(async ({ mq }) => (await mq.diagnostics()).host.isHere)) ? first : second;
      const other = hosts === first ? second : first;
      await hosts.page.close();
      await expect.poll(() => other.run(async ({ mq }) => (await mq.diagnostics()).host.isHere)).toBe(true);
      expect(await tell(other)).toMatchObject({ kind: "dedicated", writers: 1 });
    });

    /** Whose application names the file is given no other: csp.test.ts. */
    test("nor its text: connect says that the file is missing", async () => {
      house = await House.open({ routes: { "/dist/worker.js": missing, "/dist/worker-inline.js": missing } });
      const tab = await house.tab();
      const { code, message } = await tab.tryConnect({ namespace: "inline" });
      expect({ code, message }).toEqual({ code: "UNSUPPORTED_ENVIRONMENT", message: expect.stringMatching(/worker failed to start.*is its script served/) as string });
    });
  });
});
