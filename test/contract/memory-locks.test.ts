import { MemoryLocks } from "../../src/platform/memory-locks.ts";
import { locksContract } from "./locks.contract.ts";

locksContract("MemoryLocks", () => {
  const locks = new MemoryLocks();
  return { locks, steal: (name) => Promise.resolve(locks.steal(name)) };
});
