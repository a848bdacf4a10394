/** Places in RocketMQ's commit-log record. */
const BODY_LENGTH = 84;
const BODY = 88;
/** What an export says of itself stands in records of this topic, JSON in their bodies. */
const MANIFEST_TOPIC = "rmq_sys_TABMQ_LOG";

const decoder = new TextDecoder();

/** Messages in a piece of an export, which holds whole records. */
export function messagesIn(piece: Uint8Array): number {
  const view = new DataView(piece.buffer, piece.byteOffset, piece.byteLength);
  let count = 0;
  for (let at = 0; at < piece.byteLength; at += view.getInt32(at)) {
    const topicAt = at + BODY + view.getInt32(at + BODY_LENGTH);
    const topic = decoder.decode(piece.subarray(topicAt + 1, topicAt + 1 + view.getUint8(topicAt)));
    if (topic !== MANIFEST_TOPIC) count++;
  }
  return count;
}
