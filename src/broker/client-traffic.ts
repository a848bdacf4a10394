import { MAX_SENT_TOPICS } from "../model/limits.ts";
import { TRACE_TOPIC } from "../model/system-names.ts";

/** What one client has stored and been given since it connected. What it tells of messages' lives does not count. */
export class ClientTraffic {
  putMessages = 0;
  putBytes = 0;
  getMessages = 0;
  /** That it has sent to lately, the newest first. */
  topics: string[] = [];

  /** One frame is durable. */
  put(messages: number, bytes: number, topics: readonly string[]): void {
    if (topics[0] === TRACE_TOPIC) return;
    this.putMessages += messages;
    this.putBytes += bytes;
    for (const topic of topics.slice(-MAX_SENT_TOPICS)) {
      if (topic !== this.topics[0]) this.topics = [topic, ...this.topics.filter((known) => known !== topic)].slice(0, MAX_SENT_TOPICS);
    }
  }
}
