import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { blockStoreContract } from "./block-store.contract.ts";

blockStoreContract("MemoryStore", () => {
  const disk = new MemoryDisk();
  return { open: () => new MemoryStore(disk), destroy: () => Promise.resolve() };
});
