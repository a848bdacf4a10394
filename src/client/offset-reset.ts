import { MQError } from "../model/errors.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { ResetOffsetRequest } from "../protocol/api.ts";
import { named, offset, optional, record, time } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";
import { queueRef } from "./queue-ref.ts";

/** What `admin.resetOffset` takes: where a group is to go on, by time or by offset. */
export interface ResetOffsetOptions {
  group: string;
  topic: string;
  /** To the first message stored at this time or later, ms; to the end when there is none, or when it is negative. */
  timestamp?: number;
  /** Instead: to this offset, or as near to it as the queue goes. */
  offset?: number;
  /** Missing = all queues of the topic. */
  queue?: MessageQueue;
}

/** Where a group begins anew. */
export type QueueOffset = MessageQueue & { offset: number };

const optionsCheck = record({
  group: named(checkGroup),
  topic: named(checkClientTopic),
  timestamp: optional(time),
  offset: optional(offset),
  queue: optional((value: unknown) => value),
});

export async function resetOffset(connection: Connection, options: ResetOffsetOptions): Promise<QueueOffset[]> {
  const { group, topic, timestamp = null, offset: to = null, queue } = optionsCheck(options, "resetOffset");
  const { brokerName } = connection.serving;
  if ((timestamp === null) === (to === null)) throw new MQError("INVALID_PARAMETER", "resetOffset needs either a timestamp or an offset.", { field: "resetOffset.timestamp" });
  const ref = queue === undefined ? null : queueRef(queue, "resetOffset.queue", brokerName);
  if (ref !== null && ref.topic !== topic) throw new MQError("INVALID_PARAMETER", `The queue is one of topic "${ref.topic}", not of "${topic}".`, { field: "resetOffset.queue.topic" });
  const request: ResetOffsetRequest = { group, topic, queueId: ref?.queueId ?? null, timestamp, offset: to };
  const places = await connection.call("resetOffset", [request]);
  return places.map(({ topic: name, queueId, offset: at }) => ({ topic: name, brokerName, queueId, offset: at }));
}
