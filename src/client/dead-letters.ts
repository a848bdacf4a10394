import { errorFromData, MQError } from "../model/errors.ts";
import { MAX_KEY_LENGTH, MAX_PULL_BATCH, MAX_RESENT_IDS } from "../model/limits.ts";
import type { MessageExt } from "../model/message.ts";
import { checkGroup } from "../model/names.ts";
import { decodeRecords } from "../model/record-codec.ts";
import { filled, list, named, optional, record } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";

/** Which dead letters are to be sent again. */
export interface ResendOptions {
  group: string;
  /** Missing = all. */
  msgIds?: string[];
}

/** Which dead letters are to be discarded. */
export type DiscardOptions = ResendOptions;

/** A dead letter that stays one, and why. */
export interface FailedLetter {
  msgId: string;
  error: MQError;
}

/** What has become of dead letters that were to be sent again. */
export interface ResendResult {
  /** msgIds; these are no dead letters any more. */
  resent: string[];
  failed: FailedLetter[];
}

/** What has become of dead letters that were to be discarded. */
export interface DiscardResult {
  /** msgIds; these are no dead letters any more, and nobody is given them. */
  discarded: string[];
  failed: FailedLetter[];
}

export const lettersOptions = record({ group: named(checkGroup), msgIds: optional(list(filled(MAX_KEY_LENGTH), MAX_RESENT_IDS)) });

/** A group's dead letters, the oldest first. One call is bounded; this goes on until there are no more. */
export async function* deadLetters(connection: Connection, group: string): AsyncGenerator<MessageExt> {
  for (let offset: number | null = 0; offset !== null; ) {
    const reply: { records: Uint8Array; nextOffset: number | null } = await connection.call("deadLetters", [{ group, offset }]);
    yield* decodeRecords(reply.records, connection.serving.brokerName);
    offset = reply.nextOffset;
  }
}

/** Sends them again or discards them, in batches. `done`: their msgIds. */
export async function settleDeadLetters(connection: Connection, call: "resendDeadLetters" | "discardDeadLetters", { group, msgIds }: ReturnType<typeof lettersOptions>): Promise<{ done: string[]; failed: FailedLetter[] }> {
  const missing = new Set(msgIds);
  const result: { done: string[]; failed: FailedLetter[] } = { done: [], failed: [] };
  let batch: MessageExt[] = [];
  const settle = async (): Promise<void> => {
    const letters = batch.splice(0);
    if (letters.length === 0) return;
    const { refused } = await connection.call(call, [{ group, queueOffsets: letters.map(({ queueOffset }) => queueOffset) }]);
    const errors = new Map(refused.map(({ queueOffset, error }) => [queueOffset, errorFromData(error)]));
    for (const { msgId, queueOffset } of letters) {
      const error = errors.get(queueOffset);
      if (error === undefined) result.done.push(msgId);
      else result.failed.push({ msgId, error });
    }
  };
  for await (const letter of deadLetters(connection, group)) {
    if (msgIds !== undefined && !msgIds.includes(letter.msgId)) continue;
    missing.delete(letter.msgId);
    batch.push(letter);
    if (batch.length === MAX_PULL_BATCH) await settle();
  }
  await settle();
  for (const msgId of missing) {
    result.failed.push({ msgId, error: new MQError("NO_MESSAGE", `Group "${group}" has no dead letter with the id ${msgId}.`, { field: "msgIds" }) });
  }
  return result;
}
