import { QUEUE_PAGE_ENTRIES } from "../model/limits.ts";
import { queueKey } from "../model/queue.ts";
import type { BlockStore, PageKey } from "./block-store.ts";
import { ByteCache } from "./byte-cache.ts";
import type { CacheBudget } from "./cache-budget.ts";
import type { PageSource } from "./consume-queue.ts";
import { ConsumeQueue, ENTRY_BYTES, PAGE_BYTES, decodePage } from "./consume-queue.ts";
import type { RecordTable } from "./indexer.ts";
import type { Scanned } from "./log-scanner.ts";

/** All consume queues of the broker, and their pages that are stored but not in use. */
export class ConsumeQueueStore implements PageSource {
  readonly #queues = new Map<string, ConsumeQueue>();
  /** Where queues begin of which nothing is known: what they held may have been lost. */
  firstOffset = 0;
  /** Where each begins at least: what was before was deleted, and is not given again. */
  beginOf: (queue: { topic: string; queueId: number }) => number = () => 0;
  /** Pages made again from the log, since the start. */
  rebuilt = 0;
  dirtyPages = 0;
  readonly #store: BlockStore;
  readonly #scan: () => AsyncIterable<Scanned>;
  readonly #cache: ByteCache<string, Uint8Array>;
  readonly #rebuilding = new Map<string, Promise<Uint8Array>>();

  /** `scan` walks the whole log: what a damaged page is rebuilt from. */
  constructor(store: BlockStore, budget: CacheBudget, scan: () => AsyncIterable<Scanned>) {
    this.#store = store;
    this.#cache = new ByteCache(budget);
    this.#scan = scan;
  }

  all(): IterableIterator<ConsumeQueue> {
    return this.#queues.values();
  }

  clear(): void {
    this.#queues.clear();
    this.dirtyPages = 0;
  }

  find(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#queues.get(queueKey(topic, queueId));
  }

  open(topic: string, queueId: number): ConsumeQueue {
    const key = queueKey(topic, queueId);
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = new ConsumeQueue(topic, queueId, this, Math.max(this.firstOffset, this.beginOf({ topic, queueId })));
      this.#queues.set(key, queue);
    }
    return queue;
  }

  /** The queue is deleted: whoever still holds it finds it empty, and one of the same name is another. */
  remove({ topic, queueId }: { topic: string; queueId: number }): void {
    const key = queueKey(topic, queueId);
    this.#queues.get(key)?.end();
    this.#queues.delete(key);
  }

  async load(key: PageKey): Promise<Uint8Array | undefined> {
    const [topic, queueId, page] = key;
    // It has been removed while somebody was on the way to it.
    const isRemoved = (): boolean => page < Math.floor((this.find(topic, queueId)?.minOffset ?? this.beginOf({ topic, queueId })) / QUEUE_PAGE_ENTRIES);
    if (isRemoved()) return undefined;
    const name = `${queueKey(topic, queueId)}/${page}`;
    const cached = this.#cache.get(name);
    if (cached !== undefined) return cached;
    const [bytes] = await this.#store.readPages([key]);
    if (bytes === undefined && isRemoved()) return undefined;
    const stored = bytes === undefined ? null : decodePage(bytes, key);
    const isOld = stored !== null && stored.byteLength < (this.find(topic, queueId)?.bytesOf(page) ?? 0);
    const entries = stored === null || isOld ? await this.#rebuild(name, key) : stored;
    this.#cache.set(name, entries, entries.byteLength);
    return entries;
  }

  /** The log is the truth: a page that is missing or damaged is made again from it, once for all who wait. */
  #rebuild(name: string, key: PageKey): Promise<Uint8Array> {
    const running = this.#rebuilding.get(name);
    if (running !== undefined) return running;
    const rebuilt = this.#rebuildNow(key).finally(() => this.#rebuilding.delete(name));
    this.#rebuilding.set(name, rebuilt);
    return rebuilt;
  }

  async #rebuildNow([topic, queueId, page]: PageKey): Promise<Uint8Array> {
    const entries = new Uint8Array(PAGE_BYTES);
    const first = page * QUEUE_PAGE_ENTRIES;
    let isFound = false;
    for await (const scanned of this.#scan()) {
      if (scanned.kind !== "records") continue;
      for (const { index, offset } of recordsOf(scanned.table, topic, queueId)) {
        const at = offset - first;
        if (at < 0 || at >= QUEUE_PAGE_ENTRIES) continue;
        entries.set(entryOf(scanned.table, index), at * ENTRY_BYTES);
        isFound = true;
      }
    }
    // A page of which the log knows nothing has never been, or has been removed meanwhile.
    if (isFound) this.rebuilt++;
    return entries;
  }
}

function* recordsOf(table: RecordTable, topic: string, queueId: number): Generator<{ index: number; offset: number }> {
  const wanted = table.topics.indexOf(topic);
  if (wanted < 0) return;
  for (let index = 0; index < table.count; index++) {
    if (table.topicIndex[index] === wanted && table.queueId[index] === queueId) yield { index, offset: table.queueOffset[index]! };
  }
}

export function entryOf(table: { entries: Uint8Array }, index: number): Uint8Array {
  return table.entries.subarray(index * ENTRY_BYTES, (index + 1) * ENTRY_BYTES);
}
