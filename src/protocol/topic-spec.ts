import { MAX_QUEUES_PER_TOPIC } from "../model/limits.ts";
import { checkClientTopic } from "../model/names.ts";
import { integer, named, oneOf, optional, record } from "./validate.ts";

const queueCount = integer(1, MAX_QUEUES_PER_TOPIC);

/** What `createTopic` takes; checked where it is called, because not everything can be sent, and where it arrives. */
export const topicSpec = record({
  topic: named(checkClientTopic),
  readQueueNums: optional(queueCount),
  writeQueueNums: optional(queueCount),
  perm: optional(oneOf(2, 4, 6)),
  messageType: optional(oneOf("NORMAL", "FIFO", "MIXED")),
});
