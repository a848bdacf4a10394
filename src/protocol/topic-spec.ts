import { MAX_DONE_RANGES, MAX_QUEUES_PER_TOPIC } from "../model/limits.ts";
import { MESSAGE_TYPES } from "../model/message-type.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import { boolean, integer, list, named, nullable, offset, oneOf, optional, pair, record } from "./validate.ts";

const queueId = integer(0, MAX_QUEUES_PER_TOPIC - 1);
const queueCount = integer(1, MAX_QUEUES_PER_TOPIC);

/** What `createTopic` takes; checked where it is called, because not everything can be sent, and where it arrives. And a topic of an export. */
export const topicSpec = record({
  topic: named(checkClientTopic),
  readQueueNums: optional(queueCount),
  writeQueueNums: optional(queueCount),
  perm: optional(oneOf(0, 2, 4, 6)),
  messageType: optional(oneOf(...MESSAGE_TYPES)),
});

/** What `createGroup` takes. */
export const groupSpec = record({
  group: named(checkGroup),
  consumeEnable: optional(boolean),
  consumeBroadcastEnable: optional(boolean),
  retryMaxTimes: optional(nullable(integer(0, 2 ** 31 - 1))),
});

/** How far a group has come in a topic, as an export has it. */
export const groupOffsets = record({
  group: named(checkGroup),
  topic: named(checkClientTopic),
  offsets: list(pair(queueId, offset), MAX_QUEUES_PER_TOPIC),
  done: optional(list(pair(queueId, list(pair(offset, offset), MAX_DONE_RANGES)), MAX_QUEUES_PER_TOPIC)),
});
