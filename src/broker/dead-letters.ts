import { parseTagExpression } from "../filter/tag-expression.ts";
import { asMQError, errorToData, MQError } from "../model/errors.ts";
import type { Finish } from "../model/finish.ts";
import { FETCH_TARGET_BYTES, MAX_PULL_BATCH } from "../model/limits.ts";
import { deadLetterTopic, retryTopic } from "../model/names.ts";
import { DISCARD_GROUP, DLQ_GROUP } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readAllStored, type RecordPlace, type StoredRecord } from "../model/record-copy.ts";
import { concat } from "../platform/bytes.ts";
import type { DeadLettersReply, DeadLettersRequest, LettersRequest, SettleReply } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Mover } from "./mover.ts";
import type { Offsets } from "./offsets.ts";
import type { QueueReader } from "./queue-reader.ts";
import type { Topics } from "./topics.ts";

const EVERYTHING = parseTagExpression("*");

/** Shows what a group has given up on, and gives it to the group again, or to nobody any more. */
export class DeadLetters {
  readonly #services: { queues: ConsumeQueueStore; offsets: Offsets; topics: Topics; reader: QueueReader; mover: Mover };

  constructor(services: { queues: ConsumeQueueStore; offsets: Offsets; topics: Topics; reader: QueueReader; mover: Mover }) {
    this.#services = services;
  }

  /** Those that were neither sent again nor discarded, the oldest first, from an offset of the dead-letter queue on. */
  async list({ group, offset }: DeadLettersRequest): Promise<DeadLettersReply> {
    const { queues, reader } = this.#services;
    const queue = queues.find(deadLetterTopic(group), 0);
    if (queue === undefined) return { records: new Uint8Array(0), nextOffset: null };
    const { records, nextOffset } = await reader.read(queue, Math.max(offset, queue.minOffset), EVERYTHING, MAX_PULL_BATCH, FETCH_TARGET_BYTES);
    const waiting = readAllStored(records).filter(({ queueOffset }) => [DLQ_GROUP, DISCARD_GROUP].every((keeper) => !this.#isDone(finishOf(group, queueOffset, keeper))));
    const bytes = waiting.map((letter) => letter.bytes);
    const size = bytes.reduce((sum, part) => sum + part.byteLength, 0);
    return { records: concat(bytes, size), nextOffset: nextOffset < queue.maxOffset ? nextOffset : null };
  }

  /** Answers when all of it is durable or refused, each letter by itself. What was sent again before is not sent a third time. */
  resend({ group, queueOffsets }: LettersRequest): Promise<SettleReply> {
    return settle(queueOffsets, (queueOffset) => this.#services.mover.move(finishOf(group, queueOffset), (letter) => this.#aim(group, letter)));
  }

  /** The same of letters that nobody is to be given any more. What was discarded before stays so, and is counted once. */
  discard({ group, queueOffsets }: LettersRequest): Promise<SettleReply> {
    return settle(queueOffsets, (queueOffset) => this.#discard(group, queueOffset));
  }

  /** How many of a group were discarded, over all time. */
  discarded(group: string): number {
    return this.#services.offsets.doneBehind(DISCARD_GROUP, deadLetterTopic(group), 0).reduce((sum, [from, to]) => sum + to - from, 0);
  }

  async #discard(group: string, queueOffset: number): Promise<void> {
    const { offsets, mover } = this.#services;
    const letter = finishOf(group, queueOffset);
    await mover.read(letter);
    await mover.settled(letter);
    // No await from here on: whoever sends it again asks, at the last moment, whether it was discarded.
    if (this.#isDone(letter)) throw new MQError("NO_MESSAGE", "The dead letter is none any more: it was sent again.", { field: "queueOffset" });
    const discarded = { ...letter, group: DISCARD_GROUP };
    offsets.checkDoneRoom(discarded);
    await offsets.finishByFact(discarded);
  }

  #isDone(finish: Finish): boolean {
    return this.#services.offsets.isDone(finish);
  }

  /** To this group alone: others that subscribe to the topic have had the message. */
  #aim(group: string, { properties, topic, queueOffset }: StoredRecord): RecordPlace {
    if (this.#isDone(finishOf(group, queueOffset, DISCARD_GROUP))) throw new MQError("NO_MESSAGE", "The dead letter is none any more: it was discarded.", { field: "queueOffset" });
    const { [PROPERTY.DLQ_ORIGIN_TOPIC]: origin = topic, [PROPERTY.DLQ_ORIGIN_MESSAGE_ID]: _id, [PROPERTY.DLQ_ERROR]: _error, ...own } = properties;
    const target = this.#services.topics.ensure({ topic: retryTopic(group), readQueueNums: 1, writeQueueNums: 1 });
    return { topic: target.topic, queueId: 0, reconsumeTimes: 0, properties: { ...own, [PROPERTY.RETRY_TOPIC]: origin } };
  }
}

/** Each letter by itself: one that cannot be is told as refused. */
async function settle(queueOffsets: readonly number[], work: (queueOffset: number) => Promise<void>): Promise<SettleReply> {
  const refused: SettleReply["refused"] = [];
  const settled = queueOffsets.map(async (queueOffset) => {
    try {
      await work(queueOffset);
    } catch (error) {
      refused.push({ queueOffset, error: errorToData(asMQError(error)) });
    }
  });
  await Promise.all(settled);
  return { refused };
}

function finishOf(group: string, queueOffset: number, keeper = DLQ_GROUP): Finish {
  return { group: keeper, topic: deadLetterTopic(group), queueId: 0, queueOffset };
}
