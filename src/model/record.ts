/**
 * RocketMQ's commit-log record, version 1, with IPv4 addresses. Big-endian.
 * Source: RocketMQ store/MessageExtEncoder.java and common/message/MessageDecoder.java.
 *
 * | at | bytes | field                      | stamped by |
 * |---:|------:|----------------------------|------------|
 * |  0 |     4 | totalSize                  | producer   |
 * |  4 |     4 | magic -626843481           | producer   |
 * |  8 |     4 | bodyCRC                    | producer   |
 * | 12 |     4 | queueId                    | producer   |
 * | 16 |     4 | flag                       | producer   |
 * | 20 |     8 | queueOffset                | broker     |
 * | 28 |     8 | physicalOffset             | broker     |
 * | 36 |     4 | sysFlag                    | producer   |
 * | 40 |     8 | bornTimestamp              | producer   |
 * | 48 |     8 | bornHost: ip 4, port 4     | producer   |
 * | 56 |     8 | storeTimestamp             | broker     |
 * | 64 |     8 | storeHost: ip 4, port 4    | broker     |
 * | 72 |     4 | reconsumeTimes             | producer   |
 * | 76 |     8 | preparedTransactionOffset  | producer   |
 * | 84 |     4 | bodyLength                 | producer   |
 * | 88 |     b | body                       | producer   |
 * | 88+b |   1 | topicLength t              | producer   |
 * | 89+b |   t | topic, UTF-8               | producer   |
 * | 89+b+t | 2 | propertiesLength p         | producer   |
 * | 91+b+t | p | properties: name U+0001 value U+0002 ... | producer |
 */
export const RECORD_MAGIC = -626843481;
export const RECORD_FIXED_BYTES = 91;
/** Bytes of the shortest possible record: no body, a topic of one character, no properties. */
export const RECORD_MIN_BYTES = RECORD_FIXED_BYTES + 1;

export const RECORD = {
  totalSize: 0,
  magic: 4,
  bodyCrc: 8,
  queueId: 12,
  flag: 16,
  queueOffset: 20,
  physicalOffset: 28,
  sysFlag: 36,
  bornTimestamp: 40,
  bornHost: 48,
  storeTimestamp: 56,
  storeHost: 64,
  reconsumeTimes: 72,
  preparedTransactionOffset: 76,
  bodyLength: 84,
  body: 88,
} as const;

const TWO_32 = 2 ** 32;

/** Reads a signed big-endian 64-bit integer as a number; exact up to 2^53. */
export function readInt64(view: DataView, at: number): number {
  return view.getInt32(at) * TWO_32 + view.getUint32(at + 4);
}

/** Writes a number as a signed big-endian 64-bit integer; exact up to 2^53. */
export function writeInt64(view: DataView, at: number, value: number): void {
  view.setInt32(at, Math.floor(value / TWO_32));
  view.setUint32(at + 4, value >>> 0);
}
