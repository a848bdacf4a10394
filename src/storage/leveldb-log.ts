import { deleteDB, openDB } from "idb";

/** LevelDB begins a new log when the old one has grown past its write buffer, which in Chromium is 4 MiB at most. */
const FILL_BYTES = 4.25 * 1024 * 1024;
/** Small enough to be kept in LevelDB itself and not in a file beside it. */
const FILL_ROW_BYTES = 60_000;

/**
 * Chromium keeps IndexedDB in LevelDB. A process that is killed in the middle of a write leaves a record without an
 * end in LevelDB's log. The next start rightly ignores it, but then appends to the same file, so that whoever reads
 * it after that meets a record with a wrong checksum, and Chromium answers by deleting the origin's whole IndexedDB:
 * one kill and two starts lose everything (https://github.com/google/leveldb/issues/1287).
 *
 * Nothing in the API names that file, but it is left behind when it is full. So every start fills it, with a database
 * that it deletes again: what lasts until some megabytes are written lasts a tenth of a second then. (Deleting alone
 * begins a new log too, by a compaction, but not when it meets a commit that is being written.)
 *
 * Only once a database of the origin is open: Chromium tells about a loss to whoever opens first.
 */
export async function beginNewLevelDbLog(scratch: string): Promise<void> {
  // Chromium alone tells about losses, and it alone has this one.
  if (!("dataLoss" in IDBVersionChangeEvent.prototype)) return;
  const db = await openDB(scratch, 1, { upgrade: (created) => void created.createObjectStore("filler") });
  try {
    const tx = db.transaction("filler", "readwrite", { durability: "relaxed" });
    const row = new Uint8Array(FILL_ROW_BYTES);
    for (let at = 0; at * FILL_ROW_BYTES < FILL_BYTES; at++) void tx.store.put(row, at).catch(() => {});
    await tx.done;
  } finally {
    db.close();
    await deleteDB(scratch);
  }
}
