import { NAME_END, VALUE_END } from "../model/properties.ts";
import { RECORD } from "../model/record.ts";

const NAME = NAME_END.charCodeAt(0);
const VALUE = VALUE_END.charCodeAt(0);
/** Up to here, building a string unit by unit is faster than a decoder. */
const SHORT = 32;
// A byte order mark is a character of the value.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Reads some properties of records and leaves the others as the bytes they are. */
export class PropertyReader {
  readonly #names: readonly string[];
  readonly #values: (string | null)[];

  /** Names are ASCII, as in an SQL expression. */
  constructor(names: readonly string[]) {
    this.#names = names;
    this.#values = names.map(() => null);
  }

  /** In the order of the names; null = missing. Equal to `decodeProperties`. The list is the same at each call. */
  read(record: Uint8Array): readonly (string | null)[] {
    const values = this.#values.fill(null);
    const bodyLength = (record[RECORD.bodyLength]! << 24) | (record[RECORD.bodyLength + 1]! << 16) | (record[RECORD.bodyLength + 2]! << 8) | record[RECORD.bodyLength + 3]!;
    const topicAt = RECORD.body + bodyLength;
    let start = topicAt + 1 + record[topicAt]! + 2;
    let nameEnd = -1;
    while (start < record.length) {
      if (nameEnd < start) {
        for (nameEnd = start; nameEnd < record.length && record[nameEnd] !== NAME; ) nameEnd++;
        if (nameEnd === record.length) break;
      }
      let end = start;
      while (end < record.length && record[end] !== VALUE) end++;
      if (nameEnd > start && nameEnd < end - 1) {
        const index = this.#find(record, start, nameEnd);
        if (index >= 0) values[index] = textOf(record, nameEnd + 1, end);
      }
      start = end + 1;
    }
    return values;
  }

  #find(record: Uint8Array, start: number, end: number): number {
    const length = end - start;
    for (let index = 0; index < this.#names.length; index++) {
      const name = this.#names[index]!;
      if (name.length !== length) continue;
      let at = 0;
      while (at < length && name.charCodeAt(at) === record[start + at]) at++;
      if (at === length) return index;
    }
    return -1;
  }
}

function textOf(record: Uint8Array, start: number, end: number): string {
  if (end - start > SHORT) return decoder.decode(record.subarray(start, end));
  let text = "";
  for (let at = start; at < end; at++) {
    const unit = record[at]!;
    if (unit >= 0x80) return decoder.decode(record.subarray(start, end));
    text += String.fromCharCode(unit);
  }
  return text;
}
