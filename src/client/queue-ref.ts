import { MQError } from "../model/errors.ts";
import { checkClientTopic } from "../model/names.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { QueueRef } from "../protocol/api.ts";
import { integer, named } from "../protocol/validate.ts";

const topicCheck = named(checkClientTopic);

export function queueRef(value: unknown, field: string, broker: string): QueueRef {
  if (typeof value !== "object" || value === null) throw new MQError("INVALID_PARAMETER", `${field} must be a MessageQueue.`, { field });
  const { topic, brokerName, queueId } = value as Partial<MessageQueue>;
  if (brokerName !== broker) throw new MQError("INVALID_PARAMETER", `${field}.brokerName must be "${broker}": there is no other broker.`, { field: `${field}.brokerName` });
  return { topic: topicCheck(topic, `${field}.topic`), queueId: integer(0, 2 ** 31 - 1)(queueId, `${field}.queueId`) };
}
