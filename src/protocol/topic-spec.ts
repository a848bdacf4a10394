import { MAX_DONE_RANGES, MAX_QUEUES_PER_TOPIC } from "../model/limits.ts";
import { checkClientTopic, checkGroup } from "../model/names.ts";
import { integer, list, named, offset, oneOf, optional, pair, record } from "./validate.ts";

const queueId = integer(0, MAX_QUEUES_PER_TOPIC - 1);
const queueCount = integer(1, MAX_QUEUES_PER_TOPIC);

/** What `createTopic` takes; checked where it is called, because not everything can be sent, and where it arrives. */
export const topicSpec = record({
  topic: named(checkClientTopic),
  readQueueNums: optional(queueCount),
  writeQueueNums: optional(queueCount),
  perm: optional(oneOf(2, 4, 6)),
  messageType: optional(oneOf("NORMAL", "FIFO", "MIXED")),
});

/** How far a group has come in a topic, as an export has it. */
export const groupOffsets = record({
  group: named(checkGroup),
  topic: named(checkClientTopic),
  offsets: list(pair(queueId, offset), MAX_QUEUES_PER_TOPIC),
  done: optional(list(pair(queueId, list(pair(offset, offset), MAX_DONE_RANGES)), MAX_QUEUES_PER_TOPIC)),
});
