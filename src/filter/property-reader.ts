import { decodeProperties, NAME_END, VALUE_END } from "../model/properties.ts";
import { RECORD } from "../model/record.ts";

const decoder = new TextDecoder();
/** Up to so many names, to search the text for each is faster than to take all of it apart (3 times, for two of eight properties). */
const FEW = 8;

/** Reads some properties of records. */
export class PropertyReader {
  readonly #names: readonly string[];
  /** A name as it stands behind another property. */
  readonly #marks: readonly string[];

  /** Names hold no separators, as in an SQL expression. */
  constructor(names: readonly string[]) {
    this.#names = names;
    this.#marks = names.map((name) => VALUE_END + name + NAME_END);
  }

  /** In the order of the names; null = missing. */
  read(record: Uint8Array): (string | null)[] {
    const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
    const bodyEnd = RECORD.body + view.getInt32(RECORD.bodyLength);
    const text = decoder.decode(record.subarray(bodyEnd + 1 + view.getUint8(bodyEnd) + 2));
    if (this.#names.length <= FEW) return this.#marks.map((mark) => find(text, mark));
    const all = decodeProperties(text);
    return this.#names.map((name) => all[name] ?? null);
  }
}

/** As `decodeProperties` would: the last of equal names wins, one without a value is none. */
function find(text: string, mark: string): string | null {
  for (let at = text.lastIndexOf(mark); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(mark, at - 1)) {
    const value = upTo(text, at + mark.length);
    if (value !== "") return value;
  }
  return text.startsWith(mark.slice(1)) ? upTo(text, mark.length - 1) || null : null;
}

function upTo(text: string, start: number): string {
  const end = text.indexOf(VALUE_END, start);
  return end < 0 ? text.slice(start) : text.slice(start, end);
}
