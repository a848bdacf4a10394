/** Filters in WebAssembly, put together by hand. */

export interface ModuleParts {
  /** Instructions of `matches`, its `end` included. */
  code: readonly number[];
  /** Locals of type i32. */
  locals?: number;
  /** One local of each of these types instead. */
  localTypes?: readonly number[];
  pages?: number;
  maxPages?: number | null;
  /** Default: 1 when there is a maximum. */
  memoryFlags?: number;
  tables?: readonly (readonly number[])[];
  /** Whole sections, in front of the code section. */
  more?: readonly number[];
  /** Type of `matches`: default (i32, i32) -> i32. */
  type?: readonly number[];
  exportMemory?: boolean;
}

export const I32 = 0x7f;

export function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): number[] {
  const low = value & 0x7f;
  const rest = value >> 7;
  const isLast = (rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
}

export const constant = (value: number): number[] => [0x41, ...signed(value)];
export const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content];
const name = (text: string): number[] => [text.length, ...new TextEncoder().encode(text)];

export function wasmModule({ code, locals = 0, localTypes = [], pages = 1, maxPages = null, memoryFlags = maxPages === null ? 0 : 1, tables = [], more = [], type = [0x60, 2, I32, I32, 1, I32], exportMemory = true }: ModuleParts): Uint8Array<ArrayBuffer> {
  const groups = locals === 0 ? localTypes.map((local) => [1, local]) : [[...unsigned(locals), I32]];
  const body = [groups.length, ...groups.flat(), ...code];
  const exported = [[...name("matches"), 0, 0], ...(exportMemory ? [[...name("memory"), 2, 0]] : [])];
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, ...type]),
    ...section(3, [1, 0]),
    ...(tables.length === 0 ? [] : section(4, [tables.length, ...tables.flat()])),
    ...section(5, [1, memoryFlags, ...unsigned(pages), ...(maxPages === null ? [] : unsigned(maxPages))]),
    ...section(7, [exported.length, ...exported.flat()]),
    ...more,
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
}

const END = 0x0b;

/** Lets through what has the tag "a": looks for `TAGS`, U+0001, `a`, U+0002 in the last bytes, where properties stand. */
export const TAGGED_A = wasmModule({
  locals: 1,
  code: [
    // last = pointer + length - 7; pointer = last - 200
    0x20, 0, 0x20, 1, 0x6a, ...constant(7), 0x6b, 0x22, 2, ...constant(200), 0x6b, 0x21, 0,
    0x03, 0x40,
    0x20, 0, 0x20, 2, 0x4b, 0x04, 0x40, ...constant(0), 0x0f, END,
    0x20, 0, 0x28, 0, 0, ...constant(0x53474154), 0x46,
    0x20, 0, 0x2f, 0, 4, ...constant(0x6101), 0x46, 0x71,
    0x20, 0, 0x2d, 0, 6, ...constant(2), 0x46, 0x71,
    0x04, 0x40, ...constant(1), 0x0f, END,
    0x20, 0, ...constant(1), 0x6a, 0x21, 0, 0x0c, 0,
    END, 0x00, END,
  ],
});

export const EVERYTHING = wasmModule({ code: [...constant(1), END] });
export const LOOPING = wasmModule({ code: [0x03, 0x40, 0x0c, 0, END, 0x00, END] });
export const TRAPPING = wasmModule({ code: [0x00, END] });
/** Calls itself for ever. */
export const RECURSIVE = wasmModule({ code: [0x20, 0, 0x20, 1, 0x10, 0, END] });
/** Answers with the pages it has got by growing: -1 = none. */
export const GROWING = wasmModule({ code: [...constant(100), 0x40, 0, END] });
/** Answers with the size of its memory, in pages. */
export const MEASURING = wasmModule({ pages: 3, code: [0x3f, 0, END] });
/** Fills all of its memory, again and again. */
export const FILLING = wasmModule({ pages: 32, code: [0x03, 0x40, ...constant(0), ...constant(0), ...constant(32 * 65_536), 0xfc, 11, 0, 0x0c, 0, END, 0x00, END] });

/** Counts to a number, then lets everything through: how long that takes is the caller's to say. */
export function counting(turns: number): Uint8Array<ArrayBuffer> {
  return wasmModule({ code: [0x03, 0x40, 0x20, 1, ...constant(1), 0x6a, 0x22, 1, ...constant(turns), 0x48, 0x0d, 0, END, ...constant(1), END] });
}
