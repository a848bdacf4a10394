import { expect, test } from "vitest";
import { HeldQueues } from "../../src/client/held-queues.ts";
import type { ProcessQueue } from "../../src/client/process-queue.ts";
import type { MessageExt } from "../../src/model/message.ts";
import type { AssignedQueue } from "../../src/protocol/api.ts";

const limits = { pullBatchSize: 32, thresholdForQueue: 1000, thresholdSizeForQueue: 2 ** 20, maxSpan: 2000 };
const queue = { topic: "t", queueId: 0 };

const message = (queueOffset: number): MessageExt => ({ ...queue, queueOffset, storeSize: 100 }) as unknown as MessageExt;

function given(queues: HeldQueues, offset: number, more: Partial<AssignedQueue> = {}): void {
  queues.assign([{ ...queue, offset, done: [], ...more }], "broker-a");
}

/** A fetch brings these. Returns those that are begun with, and where. */
function fetched(queues: HeldQueues, ...offsets: number[]): { processQueue: ProcessQueue; messages: MessageExt[] } {
  const reply = { generation: 1, progress: [{ ...queue, nextOffset: offsets.at(-1)! + 1 }], records: new Uint8Array(0) };
  const [begun] = queues.receive(reply, offsets.map(message), queues.snapshot(), new Map());
  for (const _ of begun!.messages) queues.began(begun!.processQueue);
  return begun!;
}

function consume(queues: HeldQueues, ...offsets: number[]): void {
  const { processQueue, messages } = fetched(queues, ...offsets);
  for (const one of messages) queues.ended(processQueue, one, true);
}

/** Holds the queue from offset 14 on and has consumed up to 18. */
function advanced(): HeldQueues {
  const queues = new HeldQueues(limits, () => {});
  given(queues, 14);
  consume(queues, 14, 15, 16, 17);
  return queues;
}

test("a queue that comes back before the broker knows how far we came goes on from there", () => {
  const queues = advanced();
  queues.assign([], "broker-a");
  expect(queues.report().released).toEqual([{ ...queue, commitOffset: 18 }]);
  // This answer was on its way already: it does not know of 18 yet.
  given(queues, 14);
  expect(queues.report().held).toMatchObject([{ ...queue, commitOffset: 18, nextOffset: 18 }]);
});

test("once the broker knows, its offset is the one: somebody may have set it back", () => {
  const queues = advanced();
  queues.assign([], "broker-a");
  queues.told(queues.report().released);
  given(queues, 14);
  expect(queues.report().held).toMatchObject([{ ...queue, commitOffset: 14, nextOffset: 14 }]);
});

test("the broker knows how far we came the first time, and not yet how far the second", () => {
  const queues = advanced();
  queues.assign([], "broker-a");
  const { released } = queues.report();
  given(queues, 14);
  consume(queues, 18, 19);
  queues.assign([], "broker-a");
  // The answer to the first report.
  queues.told(released);
  given(queues, 18);
  expect(queues.report().held).toMatchObject([{ ...queue, commitOffset: 20, nextOffset: 20 }]);
});

/** Two are in the hands of listeners as the queue is taken away and given back, by a broker that knows of neither. */
function returning(more: Partial<AssignedQueue> = {}): { queues: HeldQueues; end: (at: number, isConsumed: boolean) => void; processQueue: ProcessQueue } {
  const queues = new HeldQueues(limits, () => {});
  given(queues, 14);
  const { processQueue, messages } = fetched(queues, 14, 15);
  queues.assign([], "broker-a");
  given(queues, 14, more);
  return { queues, processQueue, end: (at, isConsumed) => void queues.ended(processQueue, messages[at]!, isConsumed) };
}

test("a queue that comes back while listeners are at it goes on behind what they finish", () => {
  const { queues, end } = returning();
  end(0, true);
  end(1, true);
  expect(queues.report().held).toMatchObject([{ ...queue, commitOffset: 16, nextOffset: 16 }]);
});

test("unless an admin has begun it anew meanwhile: then it goes on where the admin says", () => {
  const { queues, end } = returning({ resets: 1 });
  end(0, true);
  end(1, true);
  expect(queues.report().held).toMatchObject([{ ...queue, commitOffset: 14, nextOffset: 14 }]);
});

test("what the broker has taken over out of turn does not come again when the queue comes back", () => {
  const { queues, end, processQueue } = returning();
  processQueue.settled(15);
  end(1, true);
  end(0, false);
  expect(fetched(queues, 14, 15, 16).messages.map(({ queueOffset }) => queueOffset)).toEqual([14, 16]);
});

/** The answer to a fetch that was sent before something happened to the queue. Returns what is begun with, and where the queue stands. */
function answeredAfter(happens: (queues: HeldQueues) => void): { begun: number[]; nextOffset: number | undefined } {
  const queues = advanced();
  const asked = queues.snapshot();
  happens(queues);
  const reply = { generation: 1, progress: [{ ...queue, nextOffset: 20 }], records: new Uint8Array(0) };
  const begun = queues.receive(reply, [18, 19].map(message), asked, new Map());
  return { begun: begun.flatMap(({ messages }) => messages.map(({ queueOffset }) => queueOffset)), nextOffset: queues.report().held[0]?.nextOffset };
}

test("what was asked before a seek does not carry the queue past what the seek is about", () => {
  expect(answeredAfter((queues) => queues.restart(queues.find(queue)!, 2))).toEqual({ begun: [], nextOffset: 2 });
  // Control of the answer: where nothing has happened it is taken in.
  expect(answeredAfter(() => {})).toEqual({ begun: [18, 19], nextOffset: 20 });
});

test("nor past where the queue is given back, when the group was set back meanwhile", () => {
  const setBack = (queues: HeldQueues): void => {
    queues.assign([], "broker-a");
    queues.told(queues.report().released);
    given(queues, 3);
  };
  expect(answeredAfter(setBack)).toEqual({ begun: [], nextOffset: 3 });
});

test("the broker dies: what comes back goes on behind what is finished, also out of turn, when its listeners are back", () => {
  const queues = new HeldQueues(limits, () => {});
  given(queues, 14);
  const { processQueue, messages } = fetched(queues, 14, 15, 16, 17);
  queues.ended(processQueue, messages[2]!, true);
  queues.forget();
  // The broker does not know us: nothing is said of what it has not given.
  expect(queues.report()).toEqual({ held: [], released: [] });
  queues.ended(processQueue, messages[0]!, true);
  given(queues, 10, { isFirst: true });
  expect(queues.report().held).toMatchObject([{ commitOffset: 15, want: 0 }]);
  queues.ended(processQueue, messages[1]!, true);
  queues.ended(processQueue, messages[3]!, false);
  expect(queues.report().held).toMatchObject([{ commitOffset: 17, nextOffset: 17 }]);
  // 16 is not given again, 17 is.
  expect(fetched(queues, 16, 17).messages.map(({ queueOffset }) => queueOffset)).toEqual([17]);
});

test("the broker dies: others have come further meanwhile, and nothing that we say takes that back", () => {
  const queues = new HeldQueues(limits, () => {});
  given(queues, 14);
  const { processQueue, messages } = fetched(queues, 14, 15);
  queues.forget();
  given(queues, 40);
  expect(queues.report().held).toMatchObject([{ commitOffset: 40, want: 0 }]);
  expect(queues.commits()).toMatchObject([{ commitOffset: 40 }]);
  for (const one of messages) queues.ended(processQueue, one, true);
  expect(queues.report().held).toMatchObject([{ commitOffset: 40, nextOffset: 40 }]);
});

test("nor when it is taken away again while our listeners are still at it", () => {
  const queues = new HeldQueues(limits, () => {});
  given(queues, 14);
  const { processQueue, messages } = fetched(queues, 14, 15);
  queues.forget();
  given(queues, 40);
  queues.assign([], "broker-a");
  expect(queues.report().held).toMatchObject([{ commitOffset: 40, want: 0 }]);
  for (const one of messages) queues.ended(processQueue, one, true);
  expect(queues.report().released).toMatchObject([{ commitOffset: 40 }]);
});

test("control: a queue that nobody else has had is told as far as we came", () => {
  const queues = new HeldQueues(limits, () => {});
  given(queues, 14);
  const { processQueue, messages } = fetched(queues, 14, 15);
  queues.forget();
  given(queues, 14, { isFirst: true });
  queues.assign([], "broker-a");
  expect(queues.report().held).toMatchObject([{ commitOffset: 14, want: 0 }]);
  for (const one of messages) queues.ended(processQueue, one, true);
  expect(queues.report().released).toMatchObject([{ commitOffset: 16 }]);
});

test("the broker dies: an admin has begun the queue anew since, and what we have done of it is void", () => {
  const queues = advanced();
  queues.forget();
  given(queues, 3, { resets: 1, isFirst: true });
  expect(queues.report().held).toMatchObject([{ commitOffset: 3, nextOffset: 3 }]);
});

test("the broker dies: where others have had the queue before us, what they say of it is what counts, also when they have gone back", () => {
  const queues = advanced();
  queues.forget();
  given(queues, 3);
  expect(queues.report().held).toMatchObject([{ commitOffset: 3, nextOffset: 3 }]);
  // An orphan too.
  const orphaned = new HeldQueues(limits, () => {});
  given(orphaned, 14);
  const { processQueue, messages } = fetched(orphaned, 14, 15);
  orphaned.ended(processQueue, messages[0]!, true);
  orphaned.forget();
  given(orphaned, 3);
  expect(orphaned.report().held).toMatchObject([{ commitOffset: 3, want: 0 }]);
  orphaned.ended(processQueue, messages[1]!, true);
  expect(orphaned.report().held).toMatchObject([{ commitOffset: 3, nextOffset: 3 }]);
});

test("two brokers die: what was known under the first counts no more where the second has not given it to us", () => {
  const queues = advanced();
  queues.forget();
  queues.forget();
  given(queues, 3, { isFirst: true });
  expect(queues.report().held).toMatchObject([{ commitOffset: 3, nextOffset: 3 }]);
});
