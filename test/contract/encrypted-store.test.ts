import { EncryptedStore } from "../../src/storage/encrypted-store.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { blockStoreContract } from "./block-store.contract.ts";
import { newKey } from "../support/keys.ts";

const key = await newKey();

blockStoreContract("EncryptedStore over MemoryStore", () => {
  const disk = new MemoryDisk();
  return { open: () => new EncryptedStore(new MemoryStore(disk), "contract", key), destroy: () => Promise.resolve() };
});
