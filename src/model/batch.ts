import { MQError, textOf } from "./errors.ts";
import { BATCH_MEMBER_OVERHEAD, MAX_BODY_BYTES, MAX_FRAME_BYTES, MAX_FRAME_RECORDS } from "./limits.ts";
import { draftMessage, type Message, type MessageDraft } from "./message.ts";
import { RETRY_TOPIC_PREFIX } from "./names.ts";
import { recordBytes } from "./record-codec.ts";

/** What members of a batch have in common: it goes to one queue, and is answered once. */
const SHARED = ["topic", "waitStoreMsgOK", "messageGroup", "priority"] as const;
/** Of the frame that carries it; topics hold ASCII only. */
const MAX_RECORDS_BYTES = MAX_FRAME_BYTES - 1024;

/** As RocketMQ sizes a member, and as it is stored. */
interface Size {
  bytes: number;
  stored: number;
  count: number;
}

const EMPTY: Size = { bytes: 0, stored: 0, count: 0 };

function plus({ bytes, stored, count }: Size, draft: MessageDraft): Size {
  return {
    bytes: bytes + BATCH_MEMBER_OVERHEAD + draft.body.byteLength + draft.propertiesBytes,
    stored: stored + recordBytes(draft, draft.topic.length),
    count: count + 1,
  };
}

/** Why a batch of this size is not sent; null = it may be. */
function reasonAgainst({ bytes, stored, count }: Size, maxBytes: number): string | null {
  if (bytes > maxBytes) return `has ${bytes} bytes; the limit is ${maxBytes}`;
  if (count > MAX_FRAME_RECORDS) return `has ${count} messages; the limit is ${MAX_FRAME_RECORDS}`;
  return stored > MAX_RECORDS_BYTES ? `takes ${stored} bytes in the log; the limit is ${MAX_RECORDS_BYTES}` : null;
}

/** What no batch may hold, however small. */
function checkMember({ topic, isDiverted }: MessageDraft, at: number): void {
  if (topic.startsWith(RETRY_TOPIC_PREFIX)) throw new MQError("MESSAGE_ILLEGAL", "A batch cannot go to a retry topic.", { field: `messages[${at}].topic` });
  if (isDiverted) throw new MQError("MESSAGE_ILLEGAL", `A message of a batch cannot wait for its time; message ${at} has a delay.`, { field: `messages[${at}]` });
}

/**
 * RocketMQ's rules for a batch: one topic, no delay, at most `maxBytes` together; messages have been checked one by one.
 * Source: RocketMQ common/message/MessageBatch.java.
 * @throws MQError MESSAGE_ILLEGAL with `field`
 */
export function checkBatch(drafts: readonly MessageDraft[], maxBytes: number = MAX_BODY_BYTES): void {
  const [first] = drafts;
  if (first === undefined) throw new MQError("MESSAGE_ILLEGAL", "The batch is empty.", { field: "messages" });
  for (const [at, draft] of drafts.entries()) {
    checkMember(draft, at);
    const what = SHARED.find((field) => draft[field] !== first[field]);
    if (what !== undefined) throw new MQError("MESSAGE_ILLEGAL", `Messages of a batch share one ${what}; message ${at} has another than message 0.`, { field: `messages[${at}].${what}` });
  }
  const reason = reasonAgainst(drafts.reduce(plus, EMPTY), maxBytes);
  if (reason !== null) throw new MQError("MESSAGE_ILLEGAL", `The batch ${reason}.`, { field: "messages" });
}

/** Ids are given when they are sent; all have this length. */
const AN_ID = "0".repeat(32);

/**
 * Cuts a list into batches that `producer.send` takes, in its order: a new one begins where the next message would be too
 * much (`maxBytes`, at most 4 MiB, counted as RocketMQ does), or cannot be in one batch with those before it.
 * @throws MQError MESSAGE_ILLEGAL, with the message's place in `field`, for one that no batch may hold
 */
export function splitBatch(messages: readonly Message[], maxBytes: number = MAX_BODY_BYTES): Message[][] {
  if (!Array.isArray(messages)) throw new MQError("INVALID_PARAMETER", "messages must be a list.", { field: "messages" });
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1 || maxBytes > MAX_BODY_BYTES) {
    throw new MQError("INVALID_PARAMETER", `maxBytes must be an integer from 1 to ${MAX_BODY_BYTES}, not ${String(maxBytes)}.`, { field: "maxBytes" });
  }
  const batches: Message[][] = [];
  let first: MessageDraft | null = null;
  let size = EMPTY;
  for (const [at, message] of Array.from(messages).entries()) {
    const draft = memberDraft(message, at);
    checkMember(draft, at);
    const alone = plus(EMPTY, draft);
    const reason = reasonAgainst(alone, maxBytes);
    if (reason !== null) throw new MQError("MESSAGE_ILLEGAL", `Message ${at} by itself ${reason}.`, { field: `messages[${at}]` });
    const together = plus(size, draft);
    const fits = first !== null && reasonAgainst(together, maxBytes) === null && SHARED.every((field) => draft[field] === first![field]);
    size = fits ? together : alone;
    if (fits) batches.at(-1)!.push(message);
    else batches.push([message]);
    if (!fits) first = draft;
  }
  return batches;
}

function memberDraft(message: Message, at: number): MessageDraft {
  try {
    return draftMessage(message, AN_ID);
  } catch (error) {
    throw ofMember(error, at);
  }
}

/** What is wrong with a member, told with its place in the batch. */
export function ofMember(error: unknown, at: number): MQError {
  if (!(error instanceof MQError)) return unreadable(`messages[${at}]`, error);
  return new MQError(error.code, `Message ${at} of the batch: ${error.message}`, { field: (error.field ?? "message").replace(/^message/, `messages[${at}]`), cause: error });
}

/** A getter or a proxy of the caller's has thrown. */
export function unreadable(field: string, error: unknown): MQError {
  return new MQError("MESSAGE_ILLEGAL", `${field} cannot be read: ${textOf(error)}`, { field, cause: error });
}
