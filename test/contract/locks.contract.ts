import { describe, expect, test } from "vitest";
import type { Locks } from "../../src/platform/locks.ts";

/** Long enough for whatever would happen wrongly. */
const aMoment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30));

/** What every Locks must do. That a lock ends with its holder's tab is shown in test/tabs. */
export function locksContract(name: string, makeLocks: () => Locks): void {
  describe(`${name} as Locks`, () => {
    let count = 0;
    /** Tests of one origin share its locks. */
    const fresh = (): string => `contract/${name}/${Date.now()}/${count++}`;

    test("one holder at a time, the others in the order of their asking", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const order: number[] = [];
      const holders = [1, 2, 3, 4].map(async (number) => {
        const held = await locks.acquire(lock);
        order.push(number);
        await aMoment();
        order.push(-number);
        held!.release();
      });
      await Promise.all(holders);
      expect(order).toEqual([1, -1, 2, -2, 3, -3, 4, -4]);
    });

    test("locks of different names know nothing of each other", async () => {
      const locks = makeLocks();
      const held = await Promise.all([locks.acquire(fresh()), locks.acquire(fresh())]);
      expect(held.every((one) => one !== null)).toBe(true);
      for (const one of held) one!.release();
    });

    test("ifFree: null at once when somebody holds it, the lock when nobody does", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const held = await locks.acquire(lock, { ifFree: true });
      expect(held).not.toBeNull();
      expect(await locks.acquire(lock, { ifFree: true })).toBeNull();
      held!.release();
      const again = await locks.acquire(lock);
      expect(again).not.toBeNull();
      again!.release();
    });

    test("an aborted wait gives null, and the one behind gets the lock", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const held = await locks.acquire(lock);
      const abort = new AbortController();
      const aborted = locks.acquire(lock, { signal: abort.signal });
      const behind = locks.acquire(lock);
      abort.abort();
      expect(await aborted).toBeNull();
      held!.release();
      const got = await behind;
      expect(got).not.toBeNull();
      got!.release();
    });

    test("a signal that was aborted before gives null, also when the lock is free", async () => {
      const locks = makeLocks();
      expect(await locks.acquire(fresh(), { signal: AbortSignal.abort() })).toBeNull();
    });

    test("an abort after the grant takes nothing away", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const abort = new AbortController();
      const held = await locks.acquire(lock, { signal: abort.signal });
      abort.abort();
      await aMoment();
      expect(await locks.acquire(lock, { ifFree: true })).toBeNull();
      held!.release();
    });

    test("those that share wait for the exclusive holder, hold it together, and keep an exclusive one waiting", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const first = await locks.acquire(lock);
      let granted = 0;
      const sharing = [1, 2, 3].map(async () => {
        const held = await locks.acquire(lock, { shared: true });
        granted++;
        return held!;
      });
      await aMoment();
      expect(granted).toBe(0);
      first!.release();
      const held = await Promise.all(sharing);
      expect(await locks.acquire(lock, { ifFree: true })).toBeNull();
      const exclusive = locks.acquire(lock);
      for (const one of held) one.release();
      const last = await exclusive;
      expect(await locks.acquire(lock, { ifFree: true, shared: true })).toBeNull();
      last!.release();
    });

    test("releasing twice frees it once", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const first = await locks.acquire(lock);
      const second = locks.acquire(lock);
      first!.release();
      const held = await second;
      first!.release();
      expect(await locks.acquire(lock, { ifFree: true })).toBeNull();
      held!.release();
    });

    test("stolen: the holder is told, its release does not touch the thief's lock", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const victim = await locks.acquire(lock);
      let isLost = false;
      void victim!.lost.then(() => (isLost = true));
      await aMoment();
      expect(isLost).toBe(false);
      const thief = await locks.acquire(lock, { steal: true });
      await victim!.lost;
      victim!.release();
      await aMoment();
      expect(await locks.acquire(lock, { ifFree: true })).toBeNull();
      thief!.release();
      const next = await locks.acquire(lock);
      expect(next).not.toBeNull();
      next!.release();
    });

    test("stolen: who waits goes on waiting, for the thief's release; a free lock is there for a thief too", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const thief = await locks.acquire(lock, { steal: true });
      const waiter = locks.acquire(lock);
      const second = await locks.acquire(lock, { steal: true });
      thief!.release();
      let isGranted = false;
      void waiter.then(() => (isGranted = true));
      await aMoment();
      expect(isGranted).toBe(false);
      second!.release();
      (await waiter)!.release();
    });

    test("ifFree: null also when nobody holds it yet and somebody waits for it", async () => {
      const locks = makeLocks();
      const lock = fresh();
      const held = await locks.acquire(lock);
      const waiter = locks.acquire(lock);
      held!.release();
      expect(await locks.acquire(lock, { ifFree: true })).toBeNull();
      (await waiter)!.release();
    });

    test("a release is no loss", async () => {
      const locks = makeLocks();
      const held = await locks.acquire(fresh());
      let isLost = false;
      void held!.lost.then(() => (isLost = true));
      held!.release();
      await aMoment();
      expect(isLost).toBe(false);
    });
  });
}
