import { NAME_END, VALUE_END } from "./properties.ts";
import { RECORD } from "./record.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const END = VALUE_END.charCodeAt(0);
const NAME_ENDS = NAME_END.charCodeAt(0);

/** A property as a record has it, to look for. */
export function propertyBytes(name: string, value: string): Uint8Array {
  return encoder.encode(`${name}${NAME_END}${value}`);
}

/** Whether each of these whole, checked records has the property with just this value. Mostly the first says no. */
export function allSay(records: Uint8Array, at: Int32Array, property: Uint8Array): boolean {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  return at.length > 0 && at.every((start) => says(records, view, start, property));
}

function says(records: Uint8Array, view: DataView, start: number, property: Uint8Array): boolean {
  const topic = start + RECORD.body + view.getInt32(start + RECORD.bodyLength);
  const first = topic + 1 + view.getUint8(topic) + 2;
  const end = first + view.getUint16(first - 2);
  for (let at = first; at + property.byteLength <= end; at++) {
    if (isAt(records, at, property) && (at + property.byteLength === end || records[at + property.byteLength] === END)) return true;
    // To the next one.
    at = records.indexOf(END, at);
    if (at < 0) return false;
  }
  return false;
}

/** The value of a property of the whole, checked record at `start`; null when it has none of this name. */
export function propertyOf(records: Uint8Array, start: number, name: Uint8Array): string | null {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const topic = start + RECORD.body + view.getInt32(start + RECORD.bodyLength);
  const first = topic + 1 + view.getUint8(topic) + 2;
  const end = first + view.getUint16(first - 2);
  for (let at = first; at < end; ) {
    const found = records.indexOf(END, at);
    const behind = found < 0 || found > end ? end : found;
    const valueAt = at + name.byteLength + 1;
    if (valueAt < behind && records[valueAt - 1] === NAME_ENDS && isAt(records, at, name)) return decoder.decode(records.subarray(valueAt, behind));
    at = behind + 1;
  }
  return null;
}

/** Which of the names is the first that a property of the whole, checked record at `start` has; -1 = none of them. */
export function findName(records: Uint8Array, start: number, names: readonly Uint8Array[]): number {
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  const topic = start + RECORD.body + view.getInt32(start + RECORD.bodyLength);
  const first = topic + 1 + view.getUint8(topic) + 2;
  const end = first + view.getUint16(first - 2);
  for (let at = first; at < end; ) {
    const found = records.indexOf(END, at);
    const behind = found < 0 || found > end ? end : found;
    for (let name = 0; name < names.length; name++) {
      const nameEnd = at + names[name]!.byteLength;
      if (nameEnd + 1 < behind && records[nameEnd] === NAME_ENDS && isAt(records, at, names[name]!)) return name;
    }
    at = behind + 1;
  }
  return -1;
}

function isAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let i = 0; i < wanted.byteLength; i++) if (bytes[at + i] !== wanted[i]) return false;
  return true;
}
