/** Who hosts, tab by tab; workers and ports are made up here. */
import { expect, test } from "vitest";
import { DedicatedHosting, type Doorstep, type HostWorker } from "../../src/client/hosting.ts";
import { lateBroker, type LateBroker } from "../../src/client/late-port.ts";
import { MQError } from "../../src/model/errors.ts";
import { MemoryLocks } from "../../src/platform/memory-locks.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import { pseudoRandom, VirtualTime } from "../support/virtual-origin.ts";

const port = (): PortLike => ({ postMessage: () => {}, addEventListener: () => {}, removeEventListener: () => {}, start: () => {}, close: () => {} });
const doorstep = (locks: MemoryLocks): Doorstep => ({ namespace: "n", storage: "indexeddb", locks, random: pseudoRandom(1), openChannel: port });
/** A broker that is asked for. */
const entering = (hosting: DedicatedHosting): LateBroker => lateBroker((broker) => hosting.enter(0, broker)) as LateBroker;

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
