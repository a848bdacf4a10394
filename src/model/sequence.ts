import { NAME_END, PROPERTY, VALUE_END } from "./properties.ts";

/** From the first number up to but not including the second. */
export type NumberRange = readonly [from: number, to: number];

/** What an audited producer writes into each message: which one it is of those that it has sent to this queue. */
export interface SequenceStamp {
  /** Group and instance. */
  producer: string;
  number: number;
  /** What has become of all numbers before this one was known when the message was sent. */
  settled: number;
  /** Numbers that were given to messages which are certainly not stored. */
  voids: readonly NumberRange[];
}

/** Ranges in one message. */
export const MAX_STAMP_VOIDS = 8;
/** Bytes of the longest stamp as a property. */
export const MAX_STAMP_BYTES = 512;

/** As it stands among a record's properties. ASCII. */
export function stampProperty({ producer, number, settled, voids }: SequenceStamp): string {
  const text = [producer, number.toString(36), settled.toString(36), ...voids.map(([from, to]) => `${from.toString(36)}-${to.toString(36)}`)].join(" ");
  return PROPERTY.SEQUENCE + NAME_END + text + VALUE_END;
}

/** Null when it is no stamp. */
export function readStamp(text: string | undefined): SequenceStamp | null {
  if (text === undefined) return null;
  const [producer = "", number = "", settled = "", ...voids] = text.split(" ");
  const stamp = { producer, number: parseInt(number, 36), settled: parseInt(settled, 36), voids: voids.map((range) => range.split("-").map((one) => parseInt(one, 36))) };
  const areRanges = stamp.voids.every((range) => range.length === 2 && range.every(Number.isSafeInteger) && range[0]! < range[1]!);
  return Number.isSafeInteger(stamp.number) && Number.isSafeInteger(stamp.settled) && areRanges ? (stamp as unknown as SequenceStamp) : null;
}
