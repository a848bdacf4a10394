import { MAX_DAMAGE_REPORTS, QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { RECORD_MIN_BYTES } from "../model/record.ts";
import type { DamagedRange } from "../protocol/api.ts";
import type { BlockStore, LogRow } from "./block-store.ts";
import type { CheckpointRow } from "./checkpoint.ts";
import { type ConsumeQueue, decodePage, ENTRY_BYTES } from "./consume-queue.ts";
import { entryOf, type ConsumeQueueStore } from "./consume-queue-store.ts";
import type { Indexer, ScannedTable } from "./indexer.ts";
import { CHUNK_HEADER_BYTES } from "./indexer.ts";
import type { KeyIndex } from "./key-index.ts";
import { scanLog } from "./log-scanner.ts";
import type { TrimRow } from "./log-trimmer.ts";
import { gapEnds, type LossRow } from "./loss.ts";

export interface RecoverySources {
  store: BlockStore;
  indexer: Indexer;
  queues: ConsumeQueueStore;
  keys: KeyIndex;
  rows: (position: number) => AsyncIterable<LogRow>;
  checkpoint: CheckpointRow | null;
  /** Where the log begins. */
  trim: TrimRow;
  /** What an earlier start has found missing. */
  loss: LossRow | null;
  /** Is this the store that is remembered? Asked when it is known where its log ends. */
  judge: (position: number) => LossRow | null;
  /** Was this message deleted, although its record is still there? */
  isDeleted: (topic: string, queueId: number, queueOffset: number) => boolean;
  /** Records that are read again. */
  onReplayed: (table: ScannedTable, bytes: Uint8Array, position: number) => void;
}

export interface Recovered {
  replayed: number;
  /** Where the log goes on. */
  position: number;
  damaged: DamagedRange[];
  /** More of them than are listed. */
  moreDamaged: number;
  /** Found missing by this start. */
  newLoss: LossRow | null;
}

/**
 * Makes the consume queues and the key index what the log says. The log is the truth; the checkpoint only spares reading all of it.
 * Damaged rows are reported and skipped, and neither their positions nor the offsets they may have held are used again.
 */
export async function recover(sources: RecoverySources): Promise<Recovered> {
  const { queues, indexer } = sources;
  const { start, givenUp } = await restoreCheckpoint(sources);
  let replayed = 0;
  let end = start;
  const damaged: DamagedRange[] = [];
  let moreDamaged = 0;
  const report = (range: DamagedRange): void => {
    if (damaged.length < MAX_DAMAGE_REPORTS) damaged.push(range);
    else moreDamaged++;
  };
  const losses = new OffsetLosses();

  async function* watched(): AsyncGenerator<LogRow> {
    for await (const row of sources.rows(start)) {
      // However little is left of a damaged row, its position is not given again.
      end = Math.max(end, row.position + Math.max(1, row.bytes.byteLength - CHUNK_HEADER_BYTES));
      yield row;
    }
  }

  for await (const scanned of scanLog(watched(), indexer, start)) {
    if (scanned.kind === "damage") {
      const { position, bytes, reason } = scanned.range;
      if (reason !== "OVERLAP") losses.lost(bytes);
      // What a loss has left out is no damage.
      if (reason !== "MISSING" || !gapEnds(sources.loss).includes(position + bytes)) report(scanned.range);
      continue;
    }
    replayed += scanned.table.count;
    publish(scanned.table, scanned.position, queues, losses, sources.isDeleted).forEach(report);
    sources.keys.put(scanned.table.keys);
    sources.onReplayed(scanned.table, scanned.bytes, scanned.position);
  }
  for (const [topic, queueId, , max] of givenUp) queues.rebuilt += queues.find(topic, queueId)?.pagesBefore(max) ?? 0;
  const newLoss = sources.judge(Math.max(end, sources.loss?.position ?? 0));
  const goesOn = (newLoss ?? sources.loss)?.position ?? 0;
  if (end < goesOn) {
    losses.lost(goesOn - end);
    end = goesOn;
  }
  queues.firstOffset += losses.total;
  for (const queue of queues.all()) {
    const lost = losses.since(queue);
    if (lost > 0) queue.skipLost(lost);
  }
  return { replayed, position: end, damaged, moreDamaged, newLoss };
}

interface Restored {
  /** Where the replay begins. */
  start: number;
  /** What the checkpoint said of queues whose pages are made again. */
  givenUp: CheckpointRow["queues"];
}

/** Restores the queues as of the checkpoint, from where the replay begins then; when their pages are not whole, all of the log is read. */
async function restoreCheckpoint({ store, queues, keys, checkpoint, trim }: RecoverySources): Promise<Restored> {
  const begin = (): number => {
    for (const [topic, queueId, minOffset] of trim.queues) queues.open(topic, queueId).beginAt(minOffset);
    for (const queue of queues.all()) queue.beginAt(queues.beginOf(queue));
    return trim.position;
  };
  if (checkpoint === null) {
    keys.reset();
    return { start: begin(), givenUp: [] };
  }
  const filled: { topic: string; queueId: number; page: number }[] = [];
  queues.firstOffset = checkpoint.firstOffset;
  for (const [topic, queueId, min, max, next, gaps] of checkpoint.queues) {
    const queue = queues.open(topic, queueId);
    queue.restore({ min, max, next, gaps });
  }
  begin();
  for (const queue of queues.all()) {
    const { topic, queueId, minOffset, maxOffset, lastPage } = queue;
    if (maxOffset > minOffset) filled.push({ topic, queueId, page: lastPage });
  }
  const [pages] = await Promise.all([
    store.readPages(filled.map(({ topic, queueId, page }) => [topic, queueId, page])),
    // Whole by itself: should the queues need a longer replay, the index takes nothing twice.
    keys.restore(checkpoint.index, checkpoint.position),
  ]);
  for (const [at, { topic, queueId, page }] of filled.entries()) {
    const bytes = pages[at];
    const queue = queues.open(topic, queueId);
    const entries = bytes === undefined ? null : decodePage(bytes, queue.pageKey(page));
    // An older state of the page is whole too, but too short.
    if (entries === null || entries.byteLength !== (queue.maxOffset - page * QUEUE_PAGE_ENTRIES) * ENTRY_BYTES) {
      queues.clear();
      queues.firstOffset = 0;
      return { start: begin(), givenUp: checkpoint.queues };
    }
    queue.adoptLastPage(entries);
  }
  return { start: checkpoint.position, givenUp: [] };
}

function publish(table: ScannedTable, position: number, queues: ConsumeQueueStore, losses: OffsetLosses, isDeleted: RecoverySources["isDeleted"]): DamagedRange[] {
  const damaged: DamagedRange[] = [];
  let queue: ConsumeQueue | undefined;
  for (let index = 0; index < table.count; index++) {
    const topic = table.topics[table.topicIndex[index]!]!;
    const queueId = table.queueId[index]!;
    const offset = table.queueOffset[index]!;
    // Neighbours mostly are of one queue, and to find it takes longer than the rest.
    if (queue?.queueId !== queueId || queue?.topic !== topic) {
      if (isDeleted(topic, queueId, offset)) continue;
      queue = queues.open(topic, queueId);
    } else if (offset < queue.maxOffset && isDeleted(topic, queueId, offset)) continue;
    if (offset < queue.maxOffset) {
      damaged.push({ position: position + table.at[index]!, bytes: table.size[index]!, reason: "OFFSET_REUSED" });
      continue;
    }
    queue.publish(offset, entryOf(table, index), table.storeTimestamp[index]!);
    losses.seen(queue);
  }
  return damaged;
}

/** How many records of a queue may have been in damaged bytes after the last one that could be read. */
class OffsetLosses {
  total = 0;
  readonly #whenSeen = new Map<ConsumeQueue, number>();

  lost(bytes: number): void {
    this.total += Math.ceil(bytes / RECORD_MIN_BYTES);
  }

  seen(queue: ConsumeQueue): void {
    if (this.total > 0) this.#whenSeen.set(queue, this.total);
  }

  since(queue: ConsumeQueue): number {
    return this.total - (this.#whenSeen.get(queue) ?? 0);
  }
}
