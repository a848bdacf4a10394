import { asMQError, errorToData } from "../model/errors.ts";
import type { Finish } from "../model/finish.ts";
import { DLQ_TOPIC_PREFIX } from "../model/names.ts";
import { offsetMsgId } from "../model/message-id.ts";
import { PROPERTY } from "../model/properties.ts";
import { RECORD, readInt64 } from "../model/record.ts";
import type { RecordPlace, StoredRecord } from "../model/record-copy.ts";
import { sendBack } from "../model/retry.ts";
import type { SettleReply, SettleRequest, SettleResult } from "../protocol/api.ts";
import type { Diversions } from "./diversions.ts";
import type { Groups } from "./groups.ts";
import type { Member } from "./member.ts";
import type { Mover } from "./mover.ts";
import type { ScheduleService } from "./schedule.ts";
import type { Topics } from "./topics.ts";

/**
 * Takes back what a listener did not consume: it is tried again later, or becomes a dead letter. Either way its copy
 * finishes it where it stands, in one transaction.
 */
export class RetryService {
  readonly #services: { groups: Groups; topics: Topics; mover: Mover; diversions: Diversions; schedule: ScheduleService };

  constructor(services: { groups: Groups; topics: Topics; mover: Mover; diversions: Diversions; schedule: ScheduleService }) {
    this.#services = services;
  }

  /** Answers when all of it is durable or refused, each message by itself. The same call again does nothing twice. */
  async settle(member: Member, request: SettleRequest): Promise<SettleReply> {
    const { topic, queueId, results } = request;
    const { groups, mover } = this.#services;
    const group = member.group.name;
    const maxReconsumeTimes = groups.retriesOf(group, request.maxReconsumeTimes);
    groups.checkSettles(member, request);
    const refused: SettleReply["refused"] = [];
    const settled = results.map(async (result) => {
      const { queueOffset } = result;
      try {
        await mover.move({ group, topic, queueId, queueOffset }, (source) => {
          // It may have lost the queue while the message was read.
          groups.checkSettles(member, request);
          return this.#aim(group, source, result, maxReconsumeTimes);
        });
      } catch (error) {
        refused.push({ queueOffset, error: errorToData(asMQError(error)) });
      }
    });
    await Promise.all(settled);
    return { refused };
  }

  /** A message that simple consumers have had too often, as a dead letter. */
  bury(finish: Finish, reconsumeTimes: number, error: string): Promise<void> {
    const dead = { queueOffset: finish.queueOffset, action: "dead", error } as const;
    return this.#services.mover.move(finish, (source) => this.#aim(finish.group, { ...source, reconsumeTimes: reconsumeTimes - 1 }, dead, 0));
  }

  #aim(group: string, source: StoredRecord, { action, delayLevel = 0, reconsumeTimes = 0, error = "" }: SettleResult, maxReconsumeTimes: number): RecordPlace {
    const { schedule, diversions, topics } = this.#services;
    const to = sendBack({
      group, reconsumeTimes: Math.max(source.reconsumeTimes, reconsumeTimes), delayLevel: action === "dead" ? -1 : delayLevel, maxReconsumeTimes, delayLevels: schedule.delayLevels,
    });
    const origin = source.properties[PROPERTY.RETRY_TOPIC] ?? source.topic;
    const originMsgId = source.properties[PROPERTY.ORIGIN_MESSAGE_ID] ?? idOf(source);
    const properties = { ...source.properties, [PROPERTY.RETRY_TOPIC]: origin, [PROPERTY.ORIGIN_MESSAGE_ID]: originMsgId };
    topics.ensure({ topic: to.topic, readQueueNums: 1, writeQueueNums: 1 });
    if (!to.topic.startsWith(DLQ_TOPIC_PREFIX)) {
      return diversions.aim({ topic: to.topic, queueId: 0, reconsumeTimes: to.reconsumeTimes, properties: { ...properties, [PROPERTY.DELAY]: `${to.delayLevel}` } });
    }
    return {
      topic: to.topic,
      queueId: 0,
      reconsumeTimes: to.reconsumeTimes,
      properties: { ...properties, [PROPERTY.DLQ_ORIGIN_TOPIC]: origin, [PROPERTY.DLQ_ORIGIN_MESSAGE_ID]: originMsgId, [PROPERTY.DLQ_ERROR]: printable(error) },
    };
  }
}

function idOf({ bytes }: StoredRecord): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return offsetMsgId(view.getUint32(RECORD.storeHost), view.getInt32(RECORD.storeHost + 4), readInt64(view, RECORD.physicalOffset));
}

/** Whatever an error says, as a property's value. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the separators of properties are control characters
  return text.replace(/[\u0000-\u001f]/g, " ");
}
