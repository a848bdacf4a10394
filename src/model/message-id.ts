import { MQError } from "./errors.ts";

let byteHex: string[] | undefined;

/** The two upper-case hex digits of each byte. */
function hexTable(): string[] {
  return (byteHex ??= Array.from({ length: 256 }, (_, byte) => byte.toString(16).toUpperCase().padStart(2, "0")));
}

function hex32(value: number): string {
  const hex = hexTable();
  return hex[value >>> 24]! + hex[(value >>> 16) & 0xff]! + hex[(value >>> 8) & 0xff]! + hex[value & 0xff]!;
}

function startOfMonth(time: number): number {
  const date = new Date(time);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}

const RANDOM_BYTES = 10;
const MAX_SPAN = 0xffffffff;
const DAY = 24 * 3_600_000;
/** Digits of an id that are the same in all of one generator. */
export const ID_PREFIX_LENGTH = RANDOM_BYTES * 2;

/**
 * Makes message ids in the layout of RocketMQ's UNIQ_KEY (common/message/MessageClientIDSetter.java): 32 upper-case hex digits.
 *
 * | bytes | field                                                                        |
 * |------:|------------------------------------------------------------------------------|
 * |    10 | random, once a generator (RocketMQ: ip 4, pid 2, class loader hash 4)         |
 * |     4 | milliseconds since the start (UTC) of the month in which the generator began  |
 * |     2 | counter, starts anywhere, wraps                                               |
 *
 * The ids of one generator rise as strings and never repeat, whatever the clock does: the time never goes back, and it moves on when
 * the counter wraps. After 2^32 ms (49 days) the time is full; then it counts from the month of that moment, behind new random bytes.
 */
export class MessageIdGenerator {
  readonly #randomBytes: (n: number) => Uint8Array;
  readonly #now: () => number;
  readonly #hex = hexTable();
  #prefix = "";
  #base = 0;
  #time: number;
  #counter: number;
  /** Prefix and time as hex. */
  #head = "";
  /** When the prefix was last said to be due. */
  #told = 0;
  /** Whoever keeps a list of who makes which ids should be told the prefix: it is new, or has been in use for another day. Set back by the owner. */
  isDue = true;

  /** `randomBytes(n)`: n bytes from a source fit for identities. `now()`: milliseconds since 1970. */
  constructor(randomBytes: (n: number) => Uint8Array, now: () => number) {
    this.#randomBytes = randomBytes;
    this.#now = now;
    const start = randomBytes(2);
    this.#counter = (start[0]! << 8) | start[1]!;
    this.#time = Math.floor(now());
    this.#begin();
  }

  /** What its ids begin with. */
  get prefix(): string {
    return this.#prefix;
  }

  next(): string {
    const time = Math.floor(this.#now());
    if (time > this.#time) this.#advance(time);
    const counter = this.#counter;
    const id = this.#head + this.#hex[counter >>> 8]! + this.#hex[counter & 0xff]!;
    this.#counter = (counter + 1) & 0xffff;
    if (this.#counter === 0) this.#advance(this.#time + 1);
    return id;
  }

  #advance(time: number): void {
    this.#time = time;
    if (time - this.#told > DAY) this.#due();
    if (time - this.#base > MAX_SPAN) this.#begin();
    else this.#head = this.#prefix + hex32(time - this.#base);
  }

  #begin(): void {
    this.#prefix = Array.from(this.#randomBytes(RANDOM_BYTES), (byte) => this.#hex[byte]!).join("");
    this.#due();
    this.#base = startOfMonth(this.#time);
    this.#head = this.#prefix + hex32(this.#time - this.#base);
  }

  #due(): void {
    this.#told = this.#time;
    this.isDue = true;
  }
}

const OFFSET_ID = /^[0-9A-Fa-f]{32}$/;
const MAX_PORT = 65_535;

/**
 * The id of a stored message: ip 4, port 4, commit-log position 8 bytes, as 32 upper-case hex digits.
 * `ip` is the IPv4 address as an unsigned 32-bit integer. Source: RocketMQ common/message/MessageDecoder.createMessageId.
 */
export function offsetMsgId(ip: number, port: number, position: number | bigint): string {
  const low = typeof position === "bigint" ? Number(BigInt.asUintN(32, position)) : position >>> 0;
  const high = typeof position === "bigint" ? Number(BigInt.asUintN(32, position >> 32n)) : Math.floor(position / 2 ** 32);
  return hex32(ip) + hex32(port) + hex32(high) + hex32(low);
}

/**
 * The parts of an `offsetMsgId`.
 * @throws MQError INVALID_PARAMETER: not 32 hex digits, a port above 65535 (then it is a `msgId`), or a position of 2^53 and more
 */
export function parseOffsetMsgId(text: string): { ip: number; port: number; position: number } {
  const refuse = (why: string): MQError =>
    new MQError("INVALID_PARAMETER", `offsetMsgId: ${JSON.stringify(String(text).slice(0, 64))} ${why}.`, { field: "offsetMsgId" });
  if (typeof text !== "string" || !OFFSET_ID.test(text)) throw refuse("is not an offsetMsgId; 32 hexadecimal digits are expected");
  const ip = Number.parseInt(text.slice(0, 8), 16);
  const port = Number.parseInt(text.slice(8, 16), 16);
  if (port > MAX_PORT) throw refuse(`is not an offsetMsgId: its port is ${port}, at most ${MAX_PORT} is possible; is it a msgId`);
  const position = Number.parseInt(text.slice(16, 24), 16) * 2 ** 32 + Number.parseInt(text.slice(24), 16);
  if (!Number.isSafeInteger(position)) throw refuse("holds a position of 2^53 or more, which no log here can reach");
  return { ip, port, position };
}
