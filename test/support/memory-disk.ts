import { MemoryDisk } from "../../src/storage/memory-store.ts";

/** The disk as it is now; what is done to the one is not seen in the other. */
export function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk();
  for (const part of ["log", "queue", "index", "state"] as const) {
    for (const [key, value] of disk[part]) (copy[part] as Map<unknown, unknown>).set(key, structuredClone(value));
  }
  return copy;
}

/** The same without copying rows: a MemoryStore puts new ones and changes none. */
export function shallowCopyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk();
  for (const part of ["log", "queue", "index", "state"] as const) for (const [key, value] of disk[part]) (copy[part] as Map<unknown, unknown>).set(key, value);
  return copy;
}
