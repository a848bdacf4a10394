import { finishOf, finishText } from "../model/finish.ts";
import { MAX_QUERY_MESSAGES } from "../model/limits.ts";
import { TIMER_GROUP, WHEEL_TOPIC } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readAllStored, type StoredRecord } from "../model/record-copy.ts";
import type { RecallReply, RecallRequest } from "../protocol/api.ts";
import type { QueryService } from "./query.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/**
 * Calls timers off. The log says which copies of a message wait, and which were delivered: a copy that was delivered is
 * finished by another one in its place; one that is finished by none was called off. So the same call again is answered
 * the same, as long as the log has the message.
 */
export class RecallService {
  readonly #wheel: TimerWheel;
  readonly #queries: QueryService;

  constructor(wheel: TimerWheel, queries: QueryService) {
    this.#wheel = wheel;
    this.#queries = queries;
  }

  /** `recalled` only if it will never be delivered. Answered when that is durable. May be repeated. */
  async recall(request: RecallRequest): Promise<RecallReply> {
    for (let known = -1; ; ) {
      const copies = await this.#copies(request.msgId);
      const timers = copies.filter((copy) => isTimer(copy, request));
      // Moved to the end of the log meanwhile, a timer waits there.
      if (timers.length === known) return { recalled: timers.length > 0 && !isDelivered(timers, copies) };
      known = timers.length;
      // Each of them: a message whose first send was in doubt may wait twice.
      for (const { queueOffset } of timers) await this.#wheel.callOff(queueOffset);
    }
  }

  /** All that the log has of a message. */
  async #copies(msgId: string): Promise<StoredRecord[]> {
    const copies: StoredRecord[] = [];
    for (let before: number | null = Number.MAX_SAFE_INTEGER; before !== null; ) {
      const { records, next }: { records: Uint8Array; next: number | null } = await this.#queries.query({
        topic: null, key: msgId, max: MAX_QUERY_MESSAGES, begin: 0, end: Number.MAX_SAFE_INTEGER, before,
      });
      copies.push(...readAllStored(records));
      before = next;
    }
    return copies;
  }
}

function isTimer({ topic, properties }: StoredRecord, request: RecallRequest): boolean {
  return topic === WHEEL_TOPIC && properties[PROPERTY.REAL_TOPIC] === request.topic && properties[PROPERTY.TIMER_OUT_MS] === `${request.due}`;
}

/** Has one of them become a message? */
function isDelivered(timers: StoredRecord[], copies: StoredRecord[]): boolean {
  const places = new Set(timers.map(({ topic, queueId, queueOffset }) => finishText({ group: TIMER_GROUP, topic, queueId, queueOffset })));
  return copies.some(({ topic, bytes }) => {
    const finish = topic === WHEEL_TOPIC ? null : finishOf(bytes, 0);
    return finish !== null && places.has(finishText(finish));
  });
}
