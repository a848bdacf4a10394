import { MemoryLocks } from "../../src/platform/memory-locks.ts";
import { locksContract } from "./locks.contract.ts";

locksContract("MemoryLocks", () => new MemoryLocks());
