import { deleteDB, openDB } from "idb";

/**
 * Chromium keeps IndexedDB in LevelDB. A process that is killed in the middle of a write leaves a record without an
 * end in LevelDB's log. The next start rightly ignores it, but then appends to the same file, so that whoever reads
 * it after that meets a record with a wrong checksum, and Chromium answers by deleting the origin's whole IndexedDB:
 * one kill and two starts lose everything (https://github.com/google/leveldb/issues/1287).
 *
 * Nothing in the API names that file. Deleting a database compacts the place where it was, though, and a compaction
 * writes out what the log holds and begins a new one: the record without an end is gone, a few milliseconds after
 * the start instead of some megabytes later.
 *
 * Only once a database of the origin is open: Chromium tells about a loss to whoever opens first.
 */
export async function beginNewLevelDbLog(scratch: string): Promise<void> {
  // Chromium alone tells about losses, and it alone has this one.
  if (!("dataLoss" in IDBVersionChangeEvent.prototype)) return;
  (await openDB(scratch, 1)).close();
  await deleteDB(scratch);
}
