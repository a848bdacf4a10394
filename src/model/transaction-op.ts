import { OP_TOPIC } from "./system-names.ts";
import { encodeProperties, PROPERTY } from "./properties.ts";
import { readStored, type StoredRecord } from "./record-copy.ts";
import { encodeTopic, recordBytes, writeRecord } from "./record-codec.ts";
import { utf8Length } from "./text.ts";
import type { TransactionOutcome } from "./transaction.ts";

/** RocketMQ's tag of op records: what they name is done. */
const REMOVE_TAG = "d";

const encoder = new TextEncoder();
const topic = encodeTopic(OP_TOPIC);

/** How a transaction ended, as its op record says it. */
export interface TransactionEnd {
  group: string;
  transactionId: string;
  /** Of its half message. */
  queueOffset: number;
  outcome: TransactionOutcome;
}

/** The record that says so; found by the transaction's id as a key. Its body is RocketMQ's, the half message's offset. */
export function opRecord({ group, transactionId, queueOffset, outcome }: TransactionEnd, now: number): StoredRecord {
  const properties = encodeProperties([
    [PROPERTY.KEYS, transactionId], [PROPERTY.TAGS, REMOVE_TAG], [PROPERTY.PGROUP, group], [PROPERTY.TRANSACTION_OUTCOME, outcome],
  ]);
  const draft = {
    topic: OP_TOPIC, body: encoder.encode(`${queueOffset},`), flag: 0, properties, propertiesBytes: utf8Length(properties), msgId: "",
    messageGroup: undefined, waitStoreMsgOK: true, isDiverted: false,
  };
  const bytes = new Uint8Array(recordBytes(draft, topic.byteLength));
  writeRecord({ bytes, view: new DataView(bytes.buffer) }, 0, draft, topic, 0, now);
  return readStored(bytes);
}

/** What an op record of this transaction, of whichever group when that is null, says; null = it is of another one. */
export function outcomeOf({ properties }: StoredRecord, { group, transactionId }: { group: string | null; transactionId: string }): TransactionOutcome | null {
  if (properties[PROPERTY.KEYS] !== transactionId || (group !== null && properties[PROPERTY.PGROUP] !== group)) return null;
  return outcomeIn({ properties });
}

/** What an op record says, of whichever transaction it is. */
export function outcomeIn({ properties }: Pick<StoredRecord, "properties">): TransactionOutcome {
  return properties[PROPERTY.TRANSACTION_OUTCOME] === "COMMIT" ? "COMMIT" : "ROLLBACK";
}
