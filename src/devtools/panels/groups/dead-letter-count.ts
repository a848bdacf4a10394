import { type Admin, deadLetterTopic, MQError } from "../../../index.ts";

/** Messages in the group's dead-letter topic, those included that were sent again: counted without reading any. */
export async function deadLetterCount(admin: Admin, group: string): Promise<number> {
  try {
    const { queues } = await admin.topicStats(deadLetterTopic(group));
    return queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0);
  } catch (error) {
    // The topic is made with the first dead letter. Of a group whose name is too long for one there is none.
    if (error instanceof MQError && (error.code === "TOPIC_NOT_EXIST" || error.code === "INVALID_PARAMETER")) return 0;
    throw error;
  }
}
