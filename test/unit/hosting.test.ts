/** Who hosts, tab by tab; workers and ports are made up here. */
import { expect, test, vi } from "vitest";
import { DedicatedHosting, type Doorstep, type HostWorker } from "../../src/client/hosting.ts";
import { lateBroker, type LateBroker } from "../../src/client/late-port.ts";
import { ScopeHosting } from "../../src/client/scope-hosting.ts";
import { MQError } from "../../src/model/errors.ts";
import { MemoryLocks } from "../../src/platform/memory-locks.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import { pseudoRandom, VirtualTime } from "../support/virtual-origin.ts";

const port = (): PortLike => ({ postMessage: () => {}, addEventListener: () => {}, removeEventListener: () => {}, start: () => {}, close: () => {} });
const doorstep = (locks: MemoryLocks): Doorstep => ({ namespace: "n", storage: "indexeddb", locks, random: pseudoRandom(1), openChannel: port });
/** A broker that is asked for. */
const entering = (hosting: DedicatedHosting | ScopeHosting): LateBroker => lateBroker((broker) => hosting.enter(0, broker)) as LateBroker;

test("a worker that has been let go, and fails late, takes no seat from the next", async () => {
  const time = new VirtualTime();
  const failures: ((error: MQError) => void)[] = [];
  const startWorker = (_generation: number, onError: (error: MQError) => void): HostWorker => {
    failures.push(onError);
    return { life: new Promise(() => {}), connect: port, retire: () => {}, terminate: () => {} };
  };
  const hosting = new DedicatedHosting({ ...doorstep(new MemoryLocks()), timers: time, startWorker, onLeave: () => () => {}, onReturn: () => () => {} });
  await time.run((async () => {
    const first = entering(hosting);
    await first.port.settled;
    first.port.close();
    // Nobody talks to the first worker any more.
    await time.sleep(6000);
    const second = entering(hosting);
    await second.port.settled;
    failures[0]!(new MQError("UNSUPPORTED_ENVIRONMENT", "Its script did not come."));
    const third = entering(hosting);
    await third.port.settled;
    expect(failures).toHaveLength(2);
    expect([second.isHere, third.isHere]).toEqual([true, true]);
  })());
});

test("whoever has stood in line leaves nothing behind where the connection's end is told", async () => {
  const listening = [vi.spyOn(EventTarget.prototype, "addEventListener"), vi.spyOn(EventTarget.prototype, "removeEventListener")];
  const [begun, ended] = listening.map((spy) => (): number => spy.mock.calls.filter(([type]) => type === "abort").length) as [() => number, () => number];
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  try {
    const locks = new MemoryLocks();
    const before = (await locks.acquire("tabmq/n/writer"))!;
    const hosting = new ScopeHosting({ ...doorstep(locks), startHost: () => ({ accept: () => {}, retire: () => Promise.resolve() }), openChannelPair: () => [port(), port()] });
    const entered = entering(hosting);
    await turn();
    expect(begun()).toBeGreaterThan(ended());
    before.release();
    await turn();
    expect(entered.isHere).toBe(true);
    expect(ended()).toBe(begun());
  } finally {
    for (const spy of listening) spy.mockRestore();
  }
});
