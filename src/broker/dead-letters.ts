import { parseTagExpression } from "../filter/tag-expression.ts";
import { asMQError, errorToData } from "../model/errors.ts";
import { FETCH_TARGET_BYTES, MAX_PULL_BATCH } from "../model/limits.ts";
import { deadLetterTopic, retryTopic, SYSTEM_GROUP_PREFIX } from "../model/names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readAllStored, type RecordPlace, type StoredRecord } from "../model/record-copy.ts";
import { concat } from "../platform/bytes.ts";
import type { DeadLettersReply, DeadLettersRequest, ResendRequest, SettleReply } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Mover } from "./mover.ts";
import type { Offsets } from "./offsets.ts";
import type { QueueReader } from "./queue-reader.ts";
import type { Topics } from "./topics.ts";

/** For whom a dead letter that was sent again is finished. */
export const DLQ_GROUP = `${SYSTEM_GROUP_PREFIX}DLQ`;
const EVERYTHING = parseTagExpression("*");

/** Shows what a group has given up on, and gives it to the group again. */
export class DeadLetters {
  readonly #services: { queues: ConsumeQueueStore; offsets: Offsets; topics: Topics; reader: QueueReader; mover: Mover };

  constructor(services: { queues: ConsumeQueueStore; offsets: Offsets; topics: Topics; reader: QueueReader; mover: Mover }) {
    this.#services = services;
  }

  /** Those that were not sent again, the oldest first, from an offset of the dead-letter queue on. */
  async list({ group, offset }: DeadLettersRequest): Promise<DeadLettersReply> {
    const { queues, reader } = this.#services;
    const queue = queues.find(deadLetterTopic(group), 0);
    if (queue === undefined) return { records: new Uint8Array(0), nextOffset: null };
    const { records, nextOffset } = await reader.read(queue, Math.max(offset, queue.minOffset), EVERYTHING, MAX_PULL_BATCH, FETCH_TARGET_BYTES);
    const waiting = readAllStored(records).filter(({ queueOffset }) => !this.#services.offsets.isDone(finishOf(group, queueOffset)));
    const bytes = waiting.map((letter) => letter.bytes);
    const size = bytes.reduce((sum, part) => sum + part.byteLength, 0);
    return { records: concat(bytes, size), nextOffset: nextOffset < queue.maxOffset ? nextOffset : null };
  }

  /** Answers when all of it is durable or refused, each letter by itself. What was sent again before is not sent a third time. */
  async resend({ group, queueOffsets }: ResendRequest): Promise<SettleReply> {
    const refused: SettleReply["refused"] = [];
    const sent = queueOffsets.map(async (queueOffset) => {
      try {
        await this.#services.mover.move(finishOf(group, queueOffset), (letter) => this.#aim(group, letter));
      } catch (error) {
        refused.push({ queueOffset, error: errorToData(asMQError(error)) });
      }
    });
    await Promise.all(sent);
    return { refused };
  }

  /** To this group alone: others that subscribe to the topic have had the message. */
  #aim(group: string, { properties, topic }: StoredRecord): RecordPlace {
    const { [PROPERTY.DLQ_ORIGIN_TOPIC]: origin = topic, [PROPERTY.DLQ_ORIGIN_MESSAGE_ID]: _id, [PROPERTY.DLQ_ERROR]: _error, ...own } = properties;
    const target = this.#services.topics.ensure({ topic: retryTopic(group), readQueueNums: 1, writeQueueNums: 1 });
    return { topic: target.topic, queueId: 0, reconsumeTimes: 0, properties: { ...own, [PROPERTY.RETRY_TOPIC]: origin } };
  }
}

function finishOf(group: string, queueOffset: number): { group: string; topic: string; queueId: number; queueOffset: number } {
  return { group: DLQ_GROUP, topic: deadLetterTopic(group), queueId: 0, queueOffset };
}
