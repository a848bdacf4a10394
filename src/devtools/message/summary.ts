import type { MessageExt } from "../../index.ts";
import { hexBytes } from "./hex.ts";

/** What a row of a table shows of a message. Its body may have megabytes, so a list of messages keeps none. */
export interface MessageSummary {
  readonly msgId: string;
  readonly offsetMsgId: string;
  readonly topic: string;
  readonly queueId: number;
  readonly queueOffset: number;
  /** When it was stored, ms since 1970. */
  readonly time: number;
  readonly tags: string | undefined;
  readonly keys: readonly string[];
  /** Of its body, bytes. */
  readonly size: number;
  /** Of its body, on one line. */
  readonly beginning: string;
  /** Where its text or its bytes go on. */
  readonly isCut: boolean;
  readonly reconsumeTimes: number;
  readonly properties: Readonly<Record<string, string>>;
}

const SHOWN_BYTES = 240;
const SHOWN_HEX = 24;

export function summaryOf(message: MessageExt): MessageSummary {
  const { msgId, offsetMsgId, topic, queueId, queueOffset, storeTimestamp: time, tags, keys, body, reconsumeTimes, properties } = message;
  const shown = message.bodyKind === "bytes" ? SHOWN_HEX : SHOWN_BYTES;
  return {
    msgId, offsetMsgId, topic, queueId, queueOffset, time, tags, keys, size: body.byteLength, reconsumeTimes, properties,
    beginning: message.bodyKind === "bytes" ? hexBytes(body.subarray(0, shown)) : beginningOf(body.subarray(0, shown)),
    isCut: body.byteLength > shown,
  };
}

/** Half a character at the end is left out. */
function beginningOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes, { stream: true }).replaceAll(/\s+/g, " ").trim();
}

/** The address by which this very record is shown. An id alone finds what was sent, not the copy of it that waits for a group. */
export function addressOf({ topic, msgId, offsetMsgId }: Pick<MessageSummary, "topic" | "msgId" | "offsetMsgId">): string {
  return topic.startsWith("%") ? offsetMsgId : msgId;
}
