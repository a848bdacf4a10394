/** Which worker a page asks, and what it is told when that fails; workers and ports are made up here. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BrowserWorkers, type WorkerWish } from "../../src/client/browser-workers.ts";
import type { BrokerPort } from "../../src/client/environment.ts";
import type { MQError } from "../../src/model/errors.ts";

/** What was wished for when the part that hosts on a tab was made. */
let tabs: { onFailure(): void }[] = [];
vi.mock("../../src/client/tab-host.ts", () => ({
  TabHost: class {
    constructor(wish: { onFailure(): void }) {
      tabs.push(wish);
    }
    open(): Partial<BrokerPort> {
      return { onError: () => {} };
    }
  },
}));

class FakeSharedWorker extends EventTarget {
  readonly port = Object.assign(new EventTarget(), { postMessage: () => {}, start: () => {}, close: () => {} });

  says(data: unknown): void {
    this.port.dispatchEvent(new MessageEvent("message", { data }));
  }

  fails(): void {
    this.dispatchEvent(new Event("error"));
  }
}

let started: FakeSharedWorker[] = [];
beforeEach(() => {
  [started, tabs] = [[], []];
  vi.stubGlobal("SharedWorker", FakeSharedWorker);
  vi.stubGlobal("ErrorEvent", class extends Event {});
});
afterEach(() => void vi.unstubAllGlobals());

function workers(wish: Partial<WorkerWish> = {}): BrowserWorkers {
  return new BrowserWorkers({ namespace: "n", storage: "indexeddb", host: "auto", createWorker: undefined, nameOf: String, ...wish }, () => {
    const worker = new FakeSharedWorker();
    started.push(worker);
    return worker as unknown as SharedWorker;
  });
}

async function opened(page: BrowserWorkers): Promise<{ errors: MQError[] }> {
  const errors: MQError[] = [];
  (await page.open(0)).onError = (error) => errors.push(error);
  return { errors };
}

test("a SharedWorker that cannot be started: whoever asks again is given a tab's", async () => {
  const page = workers();
  const { errors } = await opened(page);
  started[0]!.fails();
  expect(errors).toHaveLength(1);
  expect(page.choice.code).toBe("SHARED_WORKER_FAILED");
  await page.open(0);
  expect([started.length, tabs.length]).toEqual([1, 1]);
});

test("an error in a SharedWorker that runs, of which Firefox tells every page, ends nothing", async () => {
  const page = workers();
  const { errors } = await opened(page);
  started[0]!.says("an answer");
  started[0]!.fails();
  expect(errors).toEqual([]);
  expect(page.choice.code).toBe("SHARED_WORKER");
});

test("neither kind could be started, and later the first can: that is what is told", async () => {
  const page = workers();
  await opened(page);
  started[0]!.fails();
  await page.open(0);
  tabs[0]!.onFailure();
  await opened(page);
  expect(started).toHaveLength(2);
  expect(page.choice).toEqual({ code: "SHARED_WORKER", reason: "One SharedWorker serves all tabs." });
});

test("what the application's own function throws is said", () => {
  const cause = new RangeError("no such file in the manifest");
  const page = workers({ createWorker: () => { throw cause; } });
  expect(() => page.open(0)).toThrow(expect.objectContaining({
    code: "UNSUPPORTED_ENVIRONMENT", cause, message: "The broker's SharedWorker cannot be created: connect.worker has thrown: no such file in the manifest",
  }));
});
