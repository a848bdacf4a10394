import { PROPERTY } from "../model/properties.ts";
import { RECORD, readInt64 } from "../model/record.ts";
import type { StoredRecord } from "../model/record-copy.ts";
import type { WaitingMessage } from "../protocol/api.ts";

/** What an operator is told of a message that waits out of everybody's sight. */
export function waitingMessage({ topic, properties, bytes, storeTimestamp }: StoredRecord): WaitingMessage {
  const { [PROPERTY.UNIQ_KEY]: msgId = "", [PROPERTY.REAL_TOPIC]: target = topic, [PROPERTY.TAGS]: tags, [PROPERTY.KEYS]: keys = "" } = properties;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    msgId, topic: target, ...(tags !== undefined && { tags }), keys: keys.split(" ").filter(Boolean),
    bodySize: view.getInt32(RECORD.bodyLength), bornTimestamp: readInt64(view, RECORD.bornTimestamp), storeTimestamp,
  };
}
