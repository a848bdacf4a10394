import { afterEach, describe as suite, expect, test, vi } from "vitest";
import { FetchService } from "../../src/broker/fetch.ts";
import { FinishedKeys } from "../../src/broker/finished-keys.ts";
import { Groups } from "../../src/broker/groups.ts";
import { Mover } from "../../src/broker/mover.ts";
import { Offsets } from "../../src/broker/offsets.ts";
import { ScheduleService } from "../../src/broker/schedule.ts";
import { Deadline } from "../../src/client/deadline.ts";
import { ListenerRunner } from "../../src/client/listener-runner.ts";
import { OrderlyConsumption } from "../../src/client/orderly-consumption.ts";
import { finishText } from "../../src/model/finish.ts";
import { MIN_STORE_BYTES } from "../../src/model/limits.ts";
import { queueKey } from "../../src/model/queue.ts";
import { Checkpoint } from "../../src/storage/checkpoint.ts";
import { ConsumeQueue } from "../../src/storage/consume-queue.ts";
import { GroupCommit } from "../../src/storage/group-commit.ts";
import { CHUNK_HEADER_BYTES, type OpenedChunk } from "../../src/storage/indexer.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";
import { SHORT } from "../support/effort.ts";
import type { VerdictKind } from "./checkers.ts";
import { SimStore } from "./sim-store.ts";
import { withMutant } from "./mutant.ts";
import type { Plan } from "./plan.ts";
import { describe } from "./report.ts";
import { simulate } from "./simulate.ts";
import { worldWithTabs } from "./stage.ts";
import { expectGreen, firstRed, storm } from "./storm.ts";
import type { Controls } from "./world.ts";

/** Takes rows whose checksum is wrong for good. */
class CredulousIndexer extends TsIndexer {
  override openChunk(row: Uint8Array, position: number): OpenedChunk {
    const opened = super.openChunk(row, position);
    if (opened.ok || opened.reason !== "BAD_CRC") return opened;
    return { ok: true, epoch: 1, position, starts: true, ends: true, payload: row.subarray(CHUNK_HEADER_BYTES) };
  }
}

afterEach(() => void vi.restoreAllMocks());
vi.setConfig({ testTimeout: 180_000 });

suite("a world without a protection is found out; with it, the same seed is green", () => {
  const worlds: { what: string; verdict: VerdictKind | VerdictKind[]; plan: Partial<Plan>; controls: Controls; likely?: number }[] = [
    { what: "the epoch is not checked", verdict: "stale writer", plan: { disturbances: { "pause host past its lease": 2_000 }, builds: 2, diskLatency: 60, gap: 100 }, controls: { unfenced: true }, likely: 16 },
    { what: "answer and delivery come before the transaction is complete", verdict: ["acknowledged too early", "phantom", "lost"], plan: { duration: 4_000, disturbances: { "kill host": 1_000 } }, controls: { earlyAnswer: true }, likely: 2 },
    { what: "one port's messages overtake each other", verdict: "reordered", plan: { messageLatency: 20, gap: 60, duration: 3_000 }, controls: { disorderlyPorts: true } },
  ];
  test.each(worlds)("$what: $verdict", async ({ verdict, plan, controls, likely }) => {
    const seed = await firstRed(verdict, { plan: storm(plan), controls }, likely);
    await expectGreen(seed, { plan: storm(plan) });
  });

  test("a record is published and answered before it is durable: acknowledged too early", async () => {
    const plan = storm({ diskLatency: 60 });
    const original = GroupCommit.prototype.enqueue;
    vi.spyOn(GroupCommit.prototype, "enqueue").mockImplementation(function early(this: GroupCommit, ticket) {
      ticket.committed();
      original.call(this, { committed: () => {}, failed: () => {} });
    });
    const seed = await firstRed("acknowledged too early", { plan });
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("a queue goes to its new owner at once, not when the old one has let go: double owner", async () => {
    const plan = storm({ work: 1_500, disturbances: { "open tab": 2_000 } });
    const heard = Groups.prototype.heard;
    vi.spyOn(Groups.prototype, "heard").mockImplementation(function handOverAtOnce(this: Groups, member, request) {
      const { owner, target } = member.group;
      for (const [key, next] of target) {
        if (owner.get(key) === next) continue;
        owner.set(key, next);
        next.changed();
      }
      const mine = ({ topic, queueId }: { topic: string; queueId: number }): boolean => owner.get(queueKey(topic, queueId)) === member;
      heard.call(this, member, { ...request, held: request.held.filter(mine), released: request.released.filter(mine) });
    });
    const seed = await firstRed("double owner", { plan }, 3);
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("whoever commits an offset is believed: the offset goes back", async () => {
    const plan = storm({ disturbances: { "freeze tab": 1_000 }, duration: 120_000, gap: 400 });
    const { heard, memberOf } = Groups.prototype;
    const gone = new Map<string, ReturnType<typeof memberOf>>();
    vi.spyOn(Groups.prototype, "memberOf").mockImplementation(function remember(this: Groups, session, memberId) {
      try {
        const member = memberOf.call(this, session, memberId);
        gone.set(memberId, member);
        return member;
      } catch (error) {
        const member = gone.get(memberId);
        if (member === undefined) throw error;
        return member;
      }
    });
    vi.spyOn(Groups.prototype, "heard").mockImplementation(function believe(this: Groups, member, request) {
      for (const { topic, queueId } of [...request.held, ...request.released]) member.group.owner.set(queueKey(topic, queueId), member);
      heard.call(this, member, request);
    });
    const seed = await firstRed("offset went back", { plan }, 3);
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  /** Half of all that is delivered is not consumed, while slower messages hold their queues' offsets. */
  const failing = (disturbances: Plan["disturbances"]): ReturnType<typeof storm> => storm({ listenerFails: 0.5, work: 1_500, gap: 80, duration: 20_000, disturbances });

  test.skipIf(SHORT)("a start does not read what the log's records finish: delivered although finished", async () => {
    const plan = failing({ "kill host": 1_500 });
    const { restore, finish } = Offsets.prototype;
    const { start } = ScheduleService.prototype;
    const recovering = new Set<Offsets>();
    vi.spyOn(Offsets.prototype, "restore").mockImplementation(function begins(this: Offsets) {
      recovering.add(this);
      restore.call(this);
    });
    vi.spyOn(ScheduleService.prototype, "start").mockImplementation(function ends(this: ScheduleService) {
      recovering.clear();
      start.call(this);
    });
    vi.spyOn(Offsets.prototype, "finish").mockImplementation(function forgets(this: Offsets, ...args) {
      if (!recovering.has(this)) finish.apply(this, args);
    });
    const seed = await firstRed("delivered although finished", { plan }, 3);
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test.skipIf(SHORT)("the next owner of a queue is told its offset, and not what is done behind it: delivered although finished", async () => {
    const plan = failing({ "kill host": 1_500, "open tab": 2_000 });
    vi.spyOn(Offsets.prototype, "doneBehind").mockReturnValue([]);
    const seed = await firstRed("delivered although finished", { plan });
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("a message is finished before its copy is stored, and the store is full: undelivered", async () => {
    const plan = storm({ listenerFails: 0.5, gap: 80, disturbances: { "fill quota": 2_000 } });
    const { moveAll } = Mover.prototype;
    const { checkDoneRoom } = Offsets.prototype;
    const offsetsOf = new Map<string, Offsets>();
    vi.spyOn(Offsets.prototype, "checkDoneRoom").mockImplementation(function remember(this: Offsets, one) {
      offsetsOf.set(finishText(one), this);
      checkDoneRoom.call(this, one);
    });
    vi.spyOn(Mover.prototype, "moveAll").mockImplementation(function early(this: Mover, moves) {
      for (const { finish } of moves) offsetsOf.get(finishText(finish!))?.finish(finish!, 0);
      return moveAll.call(this, moves).catch(() => {});
    });
    const seed = await firstRed("undelivered", { plan });
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("an orderly consumer goes on where it should have rested: out of order", async () => {
    const plan = storm({
      groups: [{ group: "all", kind: "push", orderly: true, subscriptions: { t1: "*" } }],
      listenerFails: 0.3, gap: 80, disturbances: { "kill host": 2_500, "open tab": 2_000, "freeze tab": 2_500 },
    });
    const { run } = ListenerRunner.prototype;
    vi.spyOn(ListenerRunner.prototype, "run").mockImplementation(async function forgives(this: ListenerRunner, ...args) {
      return { ...(await run.apply(this, args)), answer: "SUCCESS" };
    });
    const seed = await firstRed("out of order", { plan });
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("an orderly consumer begins a queue at its newest message: out of order", async () => {
    const plan = storm({ groups: [{ group: "all", kind: "push", orderly: true, subscriptions: { t1: "*" } }], work: 300, gap: 50, disturbances: { "open tab": 2_000 } });
    const { take } = OrderlyConsumption.prototype;
    vi.spyOn(OrderlyConsumption.prototype, "take").mockImplementation(function backwards(this: OrderlyConsumption, processQueue, messages) {
      take.call(this, processQueue, messages.toReversed());
    });
    const seed = await firstRed("out of order", { plan });
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("deadlines never come: hung call", async () => {
    const plan = storm({ disturbances: { "pause host past its lease": 8_000 }, duration: 60_000, gap: 500, tabs: 6 });
    vi.spyOn(Deadline.prototype, "race").mockImplementation((promise) => promise);
    const seed = await firstRed("hung call", { plan }, 15);
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("checksums are not looked at: damaged messages are delivered; looked at, none is", async () => {
    const plan = storm({ disturbances: { "damage row": 300, "kill host": 1_500 } });
    const seed = await firstRed("phantom", { plan, controls: { indexer: () => new CredulousIndexer() } }, 4);
    await expectGreen(seed, { plan });
  });

  test("rows are merged across the checkpoint, and a start skips the row that begins before it: index differs from log", async () => {
    const plan = storm({ duration: 90_000, gap: 700, tabs: 2, weight: 5_000, work: 0, disturbances: { "kill host": 25_000 } });
    vi.spyOn(Checkpoint.prototype, "storedPosition", "get").mockReturnValue(Number.MAX_SAFE_INTEGER);
    const seed = await firstRed("index differs from log", { plan }, 2);
    vi.restoreAllMocks();
    await expectGreen(seed, { plan });
  });

  test("rows are removed in one transaction, and what they become is put in another: a host that dies in between has lost them", async () => {
    const sent = 100;
    /** The host dies three times, each time as soon as rows have gone. */
    const left = async (): Promise<number> => {
      const { world, tabs: [tab] } = await worldWithTabs(1);
      const producer = await tab!.mq!.createProducer({ producerGroup: "p" });
      const body = new Uint8Array(2_000);
      let acked = 0;
      void (async () => {
        for (; acked < sent; acked++) await producer.send({ topic: "t", body });
      })();
      await world.scheduler.run(() => acked === sent);
      for (let death = 0; death < 3; death++) {
        const before = removals;
        await world.scheduler.run(() => removals > before);
        world.kill(world.host()!);
      }
      return world.disk.records().length;
    };
    const { commit } = SimStore.prototype;
    /** Transactions that have removed rows. */
    let removals = 0;
    const watch = (inTwo: boolean): void => {
      vi.spyOn(SimStore.prototype, "commit").mockImplementation(async function watched(this: SimStore, batch) {
        if (batch.remove === undefined) return commit.call(this, batch);
        const removed = await commit.call(this, inTwo ? { ...batch, log: [] } : batch);
        if (removed.status === "committed") removals++;
        const { remove: _, ...rest } = batch;
        return inTwo && removed.status === "committed" ? commit.call(this, rest) : removed;
      });
    };
    watch(true);
    expect(await left()).toBeLessThan(sent);
    vi.restoreAllMocks();
    watch(false);
    expect(await left()).toBe(sent);
  });

  /** Large messages, slow listeners, hosts that die: the cap of two mebibytes is reached long before all is consumed. */
  const full = storm({ duration: 50_000, gap: 150, weight: 500_000, work: 1_500, maxStoreBytes: MIN_STORE_BYTES, disturbances: { "kill host": 22_000 } });

  test.skipIf(SHORT)("a cut moves the begin of a queue behind messages that are still there: removed too much", async () => {
    vi.spyOn(ConsumeQueue.prototype, "offsetAt").mockImplementation(function tooFar(this: ConsumeQueue) {
      return Promise.resolve(this.maxOffset);
    });
    const seed = await firstRed("removed too much", { plan: full });
    vi.restoreAllMocks();
    const run = await simulate(seed, { plan: full });
    expect(run.verdicts, describe(run)).toEqual([]);
    expect(run.cuts).toBeGreaterThan(0);
    expect(run.history.some(({ type }) => type === "moved")).toBe(true);
  });

  test("consumers are not told what they have missed: skipped silently", async () => {
    const { fetch } = FetchService.prototype;
    vi.spyOn(FetchService.prototype, "fetch").mockImplementation(async function silent(this: FetchService, member, request) {
      const { moved: _unsaid, ...reply } = await fetch.call(this, member, request);
      return reply;
    });
    await firstRed("skipped silently", { plan: full });
  });

  test.skipIf(SHORT)("a row too many is swept away behind a cut: lost", async () => {
    const seed = await withMutant("storage/log-sweeper.ts", "{ log: [from, to] }", "{ log: [from, to + 1] }", (mutant) => firstRed("lost", { plan: full }, 1, mutant.simulate));
    await expectGreen(seed, { plan: full });
  });

  test("the browser loses the newest transactions, and tabs have no place for notes: used again; with their notes, nothing is", async () => {
    const plan = storm({ disturbances: { "lose tail": 2_000 } });
    const seed = await firstRed("offset reused", { plan, controls: { forgetful: true } });
    const run = await simulate(seed, { plan });
    expect(run.verdicts, describe(run)).toEqual([]);
    expect(run.history.some(({ type }) => type === "loss noted")).toBe(true);
  });

  const once = storm({ groups: [{ group: "all", kind: "push", subscriptions: { t1: "*" }, idempotent: true }], commitMisreported: 0.05, disturbances: { "kill host": 2_000, "crash tab": 2_000, "open tab": 2_000 } });

  test("the next host does not know what idempotent consumers have finished: given again", async () => {
    vi.spyOn(FinishedKeys.prototype, "restore").mockReturnValue();
    // Its offset is before what else was finished.
    const seed = await firstRed("given again", { plan: once });
    vi.restoreAllMocks();
    await expectGreen(seed, { plan: once });
  });

  const mutants: { what: string; verdict: VerdictKind; plan: Partial<Plan>; mutation: [file: string, from: string, to: string]; likely?: number }[] = [
    {
      what: "a queue is let go while a listener is still at it", verdict: "double owner",
      plan: { work: 1_500, disturbances: { "open tab": 2_000 } },
      mutation: ["client/held-queues.ts", "if (processQueue.running > 0) return;", ""], likely: 3,
    },
    {
      what: "what a dead broker has not answered goes to the next one behind what waited", verdict: "reordered",
      plan: { tabs: 2, disturbances: { "pile up": 3_000 } },
      mutation: ["client/outbox.ts", "[...again, ...this.#waiting]", "[...this.#waiting, ...again]"],
    },
    {
      what: "a silent member keeps its queues", verdict: "starved",
      plan: { duration: 80_000, gap: 2_000, work: 5, tabs: 3, disturbances: { "freeze tab for long": 3_000 } },
      mutation: ["broker/groups.ts", "++member.silentTicks > EXPIRY_TICKS", "++member.silentTicks > Infinity"], likely: 3,
    },
    {
      what: "the witness never judges", verdict: "unreported loss",
      plan: { disturbances: { "lose tail": 2_000 } },
      mutation: ["storage/loss.ts", "if (mark === null || ", "if (mark !== undefined || "],
    },
    {
      what: "tabs note how far the log has been written, not how far it is durable", verdict: "loss made up",
      plan: { diskLatency: 60, disturbances: { "kill host": 1_500 } },
      mutation: ["broker/host.ts", "this.#broker?.durablePosition ?? 0", "this.#broker?.diagnostics().position ?? 0"],
    },
  ];
  test.each(mutants)("$what: $verdict", async ({ verdict, plan, mutation, likely }) => {
    const seed = await withMutant(...mutation, (mutant) => firstRed(verdict, { plan: storm(plan) }, likely, mutant.simulate));
    await expectGreen(seed, { plan: storm(plan) });
  });
});
