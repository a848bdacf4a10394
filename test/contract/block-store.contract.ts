import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BlockStore, CommitBatch, IndexChange } from "../../src/storage/block-store.ts";
import { EPOCH_KEY } from "../../src/storage/block-store.ts";
import { CHUNK_HEADER_BYTES } from "../../src/storage/indexer.ts";

/** One disk, on which several stores can be opened: several hosts over one database. */
export interface TestDisk {
  open(): BlockStore;
  /** After the test; its stores are closed. */
  destroy(): Promise<void>;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
/** A log row: a header, as long as the broker's, and these bytes. Rows stand end to end, and are written once. */
const row = (...payload: number[]): Uint8Array => bytes(...new Uint8Array(CHUNK_HEADER_BYTES), ...payload);
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => (at * 2_654_435_761) >>> 24);
const batch = (epoch: number, rows: Partial<CommitBatch>): CommitBatch => ({ epoch, log: [], queue: [], state: [], ...rows });

/** What every BlockStore must do. */
export function blockStoreContract(name: string, makeDisk: () => TestDisk): void {
  describe(`${name} as a BlockStore`, () => {
    let disk: TestDisk;
    let store: BlockStore;
    let epoch: number;
    const opened: BlockStore[] = [];
    const open = (): BlockStore => {
      const one = disk.open();
      opened.push(one);
      return one;
    };
    beforeEach(async () => {
      disk = makeDisk();
      store = open();
      epoch = await store.takeOver();
    });
    afterEach(async () => {
      for (const one of opened.splice(0)) one.close();
      await disk.destroy();
    });

    /** Everything there is. */
    async function contents(of: BlockStore): Promise<unknown> {
      const pages = await of.readPages([["t", 0, 0], ["t", 0, 1], ["t", 1, 0]]);
      const index = await of.readIndex([{ name: "a", from: 0, to: 1000 }, { name: "b", from: 0, to: 1000 }]);
      return { log: await of.readLog(0, 1000), pages, index, state: await of.readState("") };
    }

    describe("takeOver", () => {
      test("the first epoch is 1, and every take-over raises it by one", async () => {
        expect(epoch).toBe(1);
        expect(await open().takeOver()).toBe(2);
        expect(await open().takeOver()).toBe(3);
        expect(await store.readState(EPOCH_KEY)).toEqual([["epoch", 3]]);
      });

      test("take-overs at the same time get different epochs", async () => {
        const epochs = await Promise.all(Array.from({ length: 5 }, () => open().takeOver()));
        expect(epochs.toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6]);
      });

      test("an epoch behind which numbers run out is none: every take-over after it is above the one before", async () => {
        for (const damaged of [Number.MAX_SAFE_INTEGER, 2 ** 53, 2 ** 50 + 1, 1e300]) {
          const last = open();
          const before = await last.takeOver();
          expect(await last.commit(batch(before, { state: [[EPOCH_KEY, damaged]] }))).toEqual({ status: "committed" });
          const [next, after] = [open(), open()];
          expect(await next.takeOver()).toBe(1);
          expect(await next.commit(batch(1, { state: [["a", 1]] }))).toEqual({ status: "committed" });
          expect(await after.takeOver()).toBe(2);
          expect(await next.commit(batch(1, { state: [["a", 2]] }))).toMatchObject({ status: "rejected", reason: "FENCED" });
        }
        // What tabs have seen is more than that.
        expect(await open().takeOver(1000)).toBe(1001);
      });

      test("it keeps what is there", async () => {
        await store.commit(batch(epoch, { log: [{ position: 0, bytes: row(1) }], state: [["a", 1]] }));
        const next = open();
        await next.takeOver();
        expect(await next.readLog(0, 10)).toEqual([{ position: 0, bytes: row(1) }]);
        expect(await next.readState("a")).toEqual([["a", 1]]);
      });
    });

    describe("commit", () => {
      test("writes log, queue, index and state rows together", async () => {
        const outcome = await store.commit(
          batch(epoch, { log: [{ position: 0, bytes: row(1, 2) }], queue: [{ key: ["t", 0, 1], bytes: bytes(3) }], index: { delete: [], put: [{ key: ["a", 2], bytes: bytes(4) }] }, state: [["offset/g/t", { 0: 5 }]] }),
        );
        expect(outcome).toEqual({ status: "committed" });
        expect(await contents(store)).toEqual({
          log: [{ position: 0, bytes: row(1, 2) }],
          pages: [undefined, bytes(3), undefined],
          index: [[bytes(4)], []],
          state: [["epoch", 1], ["offset/g/t", { 0: 5 }]],
        });
      });

      test("a later page or value takes the place of an earlier one with its key", async () => {
        for (const value of [1, 2]) {
          await store.commit(batch(epoch, { queue: [{ key: ["t", 0, 0], bytes: bytes(value) }], state: [["k", value]] }));
        }
        expect(await store.readPages([["t", 0, 0]])).toEqual([bytes(2)]);
        expect(await store.readState("k")).toEqual([["k", 2]]);
      });

      test("of an older epoch is FENCED and changes nothing", async () => {
        await store.commit(batch(epoch, { log: [{ position: 0, bytes: row(1) }], queue: [{ key: ["t", 0, 0], bytes: bytes(1) }], index: { delete: [], put: [{ key: ["a", 0], bytes: bytes(1) }] }, state: [["k", 1]] }));
        const next = open();
        await next.takeOver();
        const before = await contents(next);
        const late = await store.commit(
          batch(epoch, {
            log: [{ position: 0, bytes: row(9) }, { position: 1, bytes: row(9) }],
            queue: [{ key: ["t", 0, 0], bytes: bytes(9) }, { key: ["t", 1, 0], bytes: bytes(9) }],
            index: { delete: "all", put: [{ key: ["b", 0], bytes: bytes(9) }] },
            state: [["k", 9], ["new", 9], [EPOCH_KEY, 9]],
          }),
        );
        expect(late).toMatchObject({ status: "rejected", reason: "FENCED" });
        expect(await contents(next)).toEqual(before);
        expect(await next.commit(batch(2, { state: [["k", 2]] }))).toEqual({ status: "committed" });
      });

      test("the older host goes on where the log ended: FENCED, before and after the newer one has written there", async () => {
        expect(await store.commit(batch(1, { log: [{ position: 0, bytes: row(1) }] }))).toEqual({ status: "committed" });
        const next = open();
        await next.takeOver();
        const late = batch(1, { log: [{ position: 1, bytes: row(9, 9) }], state: [["k", 9]] });
        expect(await store.commit(late)).toMatchObject({ status: "rejected", reason: "FENCED" });
        expect(await next.commit(batch(2, { log: [{ position: 1, bytes: row(2) }] }))).toEqual({ status: "committed" });
        expect(await next.commit(batch(2, { log: [{ position: 2, bytes: row(3) }] }))).toEqual({ status: "committed" });
        expect(await store.commit(late)).toMatchObject({ status: "rejected", reason: "FENCED" });
        expect(await next.readLog(0, 10)).toEqual([1, 2, 3].map((value, position) => ({ position, bytes: row(value) })));
        expect(await next.readState("k")).toEqual([]);
      });

      test("an older host that has only written state is FENCED where the newer one has written", async () => {
        expect(await store.commit(batch(1, { state: [["k", 1]] }))).toEqual({ status: "committed" });
        const next = open();
        await next.takeOver();
        const mine = { position: 0, bytes: row(2) };
        expect(await next.commit(batch(2, { log: [mine] }))).toEqual({ status: "committed" });
        expect(await store.commit(batch(1, { log: [{ position: 0, bytes: row(9) }] }))).toMatchObject({ status: "rejected", reason: "FENCED" });
        expect(await next.readLog(0, 10)).toEqual([mine]);
      });

      test("take-overs without a write between them leave no trace in the log", async () => {
        await store.commit(batch(1, { log: [{ position: 0, bytes: row(1) }] }));
        for (let host = 2; host < 5; host++) await open().takeOver();
        const last = open();
        await last.takeOver();
        expect(await last.commit(batch(5, { log: [{ position: 1, bytes: row(2) }] }))).toEqual({ status: "committed" });
        expect(await last.readLog(0, 10)).toEqual([{ position: 0, bytes: row(1) }, { position: 1, bytes: row(2) }]);
      });

      test("two hosts that commit without waiting: everything of the newer, and of the older only what came before the take-over", async () => {
        const next = open();
        const outcomes = await Promise.all([
          store.commit(batch(1, { state: [["old/1", 1]] })),
          next.takeOver(),
          ...Array.from({ length: 5 }, (_, at) => store.commit(batch(1, { state: [[`late/${at}`, 1]] }))),
        ]);
        expect(await next.commit(batch(2, { state: [["new/1", 1]] }))).toEqual({ status: "committed" });
        const there = (await next.readState("late/")).map(([key]) => key);
        const acknowledged = outcomes.slice(2).flatMap((outcome, at) => (typeof outcome === "object" && outcome.status === "committed" ? [`late/${at}`] : []));
        expect(there).toEqual(acknowledged);
        expect(await next.readState("new/")).toHaveLength(1);
      });

      test("removes first, then writes, in one transaction; ranges end before their end", async () => {
        const rows = [0, 10, 20, 30].map((position) => ({ position, bytes: row(position) }));
        const pages = [0, 1, 2, 10].map((page) => ({ key: ["t", 0, page] as const, bytes: bytes(page) }));
        await store.commit(batch(epoch, { log: rows, queue: [...pages, { key: ["t", 1, 0], bytes: bytes(9) }] }));
        const outcome = await store.commit(
          batch(epoch, { remove: { log: [10, 30], queue: [{ topic: "t", queueId: 0, pages: [0, 2] }] }, log: [{ position: 10, bytes: row(1, 2) }], state: [["k", 1]] }),
        );
        expect(outcome).toEqual({ status: "committed" });
        expect(await store.readLog(0, 10)).toEqual([rows[0], { position: 10, bytes: row(1, 2) }, rows[3]]);
        expect(await store.readLogKeys(0, 10)).toEqual([0, 10, 30]);
        expect(await store.readPages([["t", 0, 0], ["t", 0, 1], ["t", 0, 2], ["t", 0, 10], ["t", 1, 0]])).toEqual([undefined, undefined, bytes(2), bytes(10), bytes(9)]);
        expect(await store.readState("k")).toEqual([["k", 1]]);
      });

      test("an older host removes nothing, however short ago it has written", async () => {
        await store.commit(batch(1, { log: [{ position: 0, bytes: row(1) }, { position: 1, bytes: row(2) }], queue: [{ key: ["t", 0, 0], bytes: bytes(1) }] }));
        const next = open();
        await next.takeOver();
        const before = await contents(next);
        const late = batch(1, { remove: { log: [0, 2], queue: [{ topic: "t", queueId: 0, pages: [0, 1] }] }, log: [{ position: 0, bytes: row(9) }] });
        expect(await store.commit(late)).toMatchObject({ status: "rejected", reason: "FENCED" });
        expect(await contents(next)).toEqual(before);
      });

      test("an unwritable value leaves nothing of its batch", async () => {
        const outcome = await store
          .commit(batch(epoch, { log: [{ position: 0, bytes: row(1) }], index: { delete: [], put: [{ key: ["a", 0], bytes: bytes(1) }] }, state: [["good", 1], ["bad", () => {}]] }))
          .catch((error: unknown) => ({ status: "thrown", error }));
        expect(outcome.status).not.toBe("committed");
        expect(await contents(store)).toEqual({ log: [], pages: [undefined, undefined, undefined], index: [[], []], state: [["epoch", 1]] });
      });

      test("an empty batch is committed", async () => {
        expect(await store.commit(batch(epoch, {}))).toEqual({ status: "committed" });
      });

      test("many at once are all committed", async () => {
        const outcomes = await Promise.all(Array.from({ length: 50 }, (_, at) => store.commit(batch(epoch, { log: [{ position: at, bytes: row(at) }] }))));
        expect(outcomes.every(({ status }) => status === "committed")).toBe(true);
        expect(await store.readLog(0, 100)).toHaveLength(50);
      });

      test("big values come back as they were", async () => {
        const big = noise(6 * 1024 * 1024);
        const pages = Array.from({ length: 40 }, (_, at) => ({ position: 10_000_000 + at, bytes: noise(60 * 1024) }));
        await store.commit(batch(epoch, { log: [{ position: 0, bytes: big }, ...pages] }));
        const [first, ...rest] = await store.readLog(0, 100);
        expect(first!.bytes.byteLength).toBe(big.byteLength);
        expect(first!.bytes.every((byte, at) => byte === big[at])).toBe(true);
        expect(rest).toHaveLength(40);
      });
    });

    describe("values are copies", () => {
      test("what the caller does to its bytes and objects afterwards is not seen", async () => {
        const chunk = row(1, 2, 3);
        const page = bytes(4);
        const value = { 0: 1, list: [1] };
        const done = store.commit(batch(epoch, { log: [{ position: 0, bytes: chunk }], queue: [{ key: ["t", 0, 0], bytes: page }], state: [["k", value]] }));
        chunk[0] = 99;
        page[0] = 99;
        value.list.push(2);
        await done;
        expect(await store.readLog(0, 1)).toEqual([{ position: 0, bytes: row(1, 2, 3) }]);
        expect(await store.readPages([["t", 0, 0]])).toEqual([bytes(4)]);
        expect(await store.readState("k")).toEqual([["k", { 0: 1, list: [1] }]]);
      });

      test("what a reader does to what it got is not seen by the next", async () => {
        await store.commit(batch(epoch, { log: [{ position: 0, bytes: row(1) }], queue: [{ key: ["t", 0, 0], bytes: bytes(2) }], state: [["k", { n: 3 }]] }));
        (await store.readLog(0, 1))[0]!.bytes[0] = 99;
        (await store.readPages([["t", 0, 0]]))[0]![0] = 99;
        ((await store.readState("k"))[0]![1] as { n: number }).n = 99;
        expect(await contents(store)).toEqual({ log: [{ position: 0, bytes: row(1) }], pages: [bytes(2), undefined, undefined], index: [[], []], state: [["epoch", 1], ["k", { n: 3 }]] });
      });

      test("a part of a larger buffer is stored without the rest", async () => {
        const whole = noise(1000);
        await store.commit(batch(epoch, { log: [{ position: 0, bytes: whole.subarray(10, 20) }] }));
        const [first] = await store.readLog(0, 1);
        expect(first!.bytes).toEqual(whole.slice(10, 20));
      });
    });

    describe("reading the log", () => {
      // Out of order, and with keys that an order of text would put wrong.
      const positions = [500, 9, 1000, 0, 2 ** 40, 10];
      const sorted = positions.toSorted((a, b) => a - b);
      beforeEach(async () => void (await store.commit(batch(epoch, { log: positions.map((position) => ({ position, bytes: row(position % 251) })) }))));

      test.each([
        [0, 100, sorted],
        [0, 2, [0, 9]],
        [1, 2, [9, 10]],
        [9, 1, [9]],
        [11, 10, [500, 1000, 2 ** 40]],
        [2 ** 40, 10, [2 ** 40]],
        [2 ** 40 + 1, 10, []],
      ])("readLog(%d, %d) gives rows in the order of positions", async (position, count, expected) => {
        const rows = await store.readLog(position, count);
        expect(rows.map((one) => one.position)).toEqual(expected);
        expect(rows.map((one) => one.bytes)).toEqual(expected.map((one) => row(one % 251)));
      });

      test.each([[0, 100, sorted], [1, 2, [9, 10]], [501, 10, [1000, 2 ** 40]], [2 ** 40 + 1, 10, []]])("readLogKeys(%d, %d) gives positions in order", async (position, count, expected) => {
        expect(await store.readLogKeys(position, count)).toEqual(expected);
      });

      test.each([[0, 0], [8, 0], [9, 9], [499, 10], [501, 500], [2 ** 50, 2 ** 40]])("floorLog(%d) is %d", async (position, expected) => {
        expect(await store.floorLog(position)).toBe(expected);
      });

      test("an empty log has no rows", async () => {
        const empty = makeDisk();
        const other = empty.open();
        await other.takeOver();
        expect(await other.readLog(0, 10)).toEqual([]);
        other.close();
        await empty.destroy();
      });
    });

    describe("the index", () => {
      const put = (...rows: [name: string, page: number, value: number][]): IndexChange => ({ delete: [], put: rows.map(([of, page, value]) => ({ key: [of, page] as const, bytes: bytes(value) })) });
      beforeEach(async () => void (await store.commit(batch(epoch, { index: put(["a", 10, 1], ["a", 9, 2], ["a", 100, 3], ["a/9", 1, 4], ["aa", 9, 5], ["b", 0, 6]) }))));

      test("gives the rows of each range in the order of their pages, and of no other name", async () => {
        const ranges = [{ name: "a", from: 0, to: 1000 }, { name: "b", from: 0, to: 0 }, { name: "a", from: 10, to: 99 }, { name: "c", from: 0, to: 9 }, { name: "a", from: 0, to: -1 }, { name: "a/9", from: 1, to: Number.MAX_SAFE_INTEGER }];
        expect(await store.readIndex(ranges)).toEqual([[bytes(2), bytes(1), bytes(3)], [bytes(6)], [bytes(1)], [], [], [bytes(4)]]);
        expect(await store.readIndex([])).toEqual([]);
      });

      test("deletes before it puts", async () => {
        const change = put(["a", 9, 7], ["b", 1, 8]);
        await store.commit(batch(epoch, { index: { ...change, delete: [{ name: "a", from: 9, to: 10 }, { name: "b", from: 0, to: 5 }] } }));
        expect(await store.readIndex([{ name: "a", from: 0, to: 1000 }, { name: "b", from: 0, to: 9 }, { name: "aa", from: 0, to: 9 }])).toEqual([[bytes(7), bytes(3)], [bytes(8)], [bytes(5)]]);
        await store.commit(batch(epoch, { index: { ...put(["aa", 3, 9]), delete: "all" } }));
        expect(await store.readIndex(["a", "a/9", "aa", "b"].map((of) => ({ name: of, from: 0, to: 1000 })))).toEqual([[], [], [bytes(9)], []]);
      });

      test("rows are copies", async () => {
        const change = put(["a", 9, 7]);
        const done = store.commit(batch(epoch, { index: change }));
        change.put[0]!.bytes[0] = 99;
        await done;
        (await store.readIndex([{ name: "a", from: 9, to: 9 }]))[0]![0]![0] = 98;
        expect(await store.readIndex([{ name: "a", from: 9, to: 9 }])).toEqual([[bytes(7)]]);
      });
    });

    describe("reading pages and state", () => {
      test("readPages answers in the order of the question, undefined for what is not there", async () => {
        await store.commit(batch(epoch, { queue: [{ key: ["t", 0, 0], bytes: bytes(1) }, { key: ["t", 0, 10], bytes: bytes(2) }, { key: ["t", 1, 0], bytes: bytes(3) }] }));
        expect(await store.readPages([["t", 1, 0], ["t", 0, 1], ["t", 0, 10], ["u", 0, 0], ["t", 0, 0]])).toEqual([bytes(3), undefined, bytes(2), undefined, bytes(1)]);
        expect(await store.readPages([])).toEqual([]);
      });

      test("page keys are not glued together: names that look alike stay apart", async () => {
        await store.commit(batch(epoch, { queue: [{ key: ["a%1", 1, 0], bytes: bytes(1) }, { key: ["a%", 11, 0], bytes: bytes(2) }, { key: ["a", 1, 10], bytes: bytes(3) }, { key: ["a", 11, 0], bytes: bytes(4) }] }));
        expect(await store.readPages([["a%1", 1, 0], ["a%", 11, 0], ["a", 1, 10], ["a", 11, 0]])).toEqual([bytes(1), bytes(2), bytes(3), bytes(4)]);
      });

      test("readState gives the rows under a prefix in key order, and no others", async () => {
        const rows = ["topic/b", "topic/a", "topi", "topic/", "topicx", "topic/a%RETRY%", "zebra", "topic/~"];
        await store.commit(batch(epoch, { state: rows.map((key) => [key, key] as const) }));
        const keys = async (prefix: string): Promise<string[]> => (await store.readState(prefix)).map(([key]) => key);
        expect(await keys("topic/")).toEqual(["topic/", "topic/a", "topic/a%RETRY%", "topic/b", "topic/~"]);
        expect(await keys("")).toEqual(["epoch", "topi", "topic/", "topic/a", "topic/a%RETRY%", "topic/b", "topic/~", "topicx", "zebra"]);
        expect(await keys("nothing")).toEqual([]);
      });

      test("a row of null is one that goes", async () => {
        await store.commit(batch(epoch, { state: [["kept", 1], ["gone", 2]] }));
        await store.commit(batch(epoch, { state: [["gone", null], ["never", null]] }));
        expect((await store.readState("")).map(([key]) => key)).toEqual(["epoch", "kept"]);
      });

      test("state values keep their kinds", async () => {
        const values = { number: 1.5, text: "ü\u0000☕", list: [1, [2]], nothing: [null], yes: true, bytes: bytes(1, 2) };
        await store.commit(batch(epoch, { state: Object.entries(values) }));
        expect(Object.fromEntries((await store.readState("")).filter(([key]) => key !== "epoch"))).toEqual(values);
      });
    });

    test("destroyed, it is empty for whoever opens it next, and its epochs begin anew", async () => {
      await store.commit(batch(epoch, { log: [{ position: 0, bytes: bytes(1, 2) }], state: [["kept", 1]], queue: [{ key: ["t", 0, 0], bytes: bytes(3) }] }));
      await store.destroy();
      const next = open();
      expect(await next.takeOver()).toBe(1);
      expect(await next.readState("")).toEqual([["epoch", 1]]);
      expect(await next.readLog(0, 10)).toEqual([]);
      expect(await next.readPages([["t", 0, 0]])).toEqual([undefined]);
      next.close();
    });

    test("closing twice is harmless", () => {
      store.close();
      store.close();
    });
  });
}
