/**
 * A loop in WebAssembly cannot be interrupted from its own thread, and a SharedWorker has no other everywhere. So a filter
 * is rewritten before it is compiled: every function and every turn of a loop first pays for its own length out of a global
 * that the module cannot name, and traps when that is used up. What runs between two payments has been paid for, so fuel
 * bounds instructions. Why, and what else was thought of: docs/decisions/0011-filters.md.
 *
 * Besides: memory never grows from inside, and its size is what it was, because the record lies behind it.
 */
import { FILTER_FUEL, MAX_FILTER_PAGES, MAX_FILTER_TABLE, MAX_RECORD_BYTES } from "../model/limits.ts";
import { type Edit, type Metering, meterBody } from "./wasm-meter-body.ts";
import { WASM_HEADER } from "./wasm-module.ts";
import { signed, unsigned, WasmReader } from "./wasm-reader.ts";

export const PAGE_BYTES = 65_536;
/** Name of the export that holds the fuel. */
export const FUEL = "tabmq:fuel";

export interface MeteredModule {
  bytes: Uint8Array<ArrayBuffer>;
  /** The memory that the module has asked for: behind it is room for a record. */
  pages: number;
}

const SECTION = { custom: 0, type: 1, import: 2, function: 3, table: 4, memory: 5, global: 6, export: 7, start: 8, element: 9, code: 10, data: 11, dataCount: 12 };
const I32 = 0x7f;
const FUNCTION_TYPE = 0x60;
const FUNCTION_REFERENCE = 0x70;

/**
 * The module, rewritten. It must be valid as it is: a module that were valid only afterwards could name the global.
 * @throws MQError SUBSCRIPTION_PARSE_FAILED with `position`
 */
export function meterModule(source: Uint8Array): MeteredModule {
  const reader = new WasmReader(source, WASM_HEADER.length);
  const out: number[] = [...WASM_HEADER];
  const signatures: string[] = [];
  const functions: number[] = [];
  let [types, globals, pages] = [0, 0, -1];
  let [hasGlobals, isExported] = [false, false];

  const section = (id: number, ...parts: ArrayLike<number>[]): void => {
    out.push(id);
    append(out, unsigned(parts.reduce((sum, { length }) => sum + length, 0)));
    for (const part of parts) append(out, part);
  };
  const globalSection = (rest: ArrayLike<number>): void => {
    section(SECTION.global, unsigned(globals + 1), rest, [I32, 1, 0x41, ...signed(FILTER_FUEL), 0x0b]);
    hasGlobals = true;
  };

  while (reader.at < source.length) {
    const id = reader.byte();
    const content = reader.part();
    if (id === SECTION.custom) continue;
    // What has no number of parts in front has something else there that is left as it is.
    const count = id === SECTION.start || id === SECTION.dataCount ? 0 : content.unsigned();
    const rest = content.rest();
    switch (id) {
      case SECTION.type:
        types = count;
        for (let left = count; left > 0; left--) signatures.push(signatureOf(content));
        section(id, unsigned(count + 1), rest, [FUNCTION_TYPE, 1, I32, 1, I32]);
        break;
      case SECTION.import:
        if (count > 0) throw content.refuse("it imports something; a filter imports nothing.");
        break;
      case SECTION.function:
        for (let left = count; left > 0; left--) functions.push(content.unsigned());
        section(id, unsigned(count + 1), rest, unsigned(types));
        break;
      case SECTION.table:
        if (count > 1 || (count === 1 && (content.byte() !== FUNCTION_REFERENCE || least(content) > MAX_FILTER_TABLE))) {
          throw content.refuse(`it may have one table, of at most ${MAX_FILTER_TABLE} functions.`);
        }
        section(id, content.bytes);
        break;
      case SECTION.memory:
        pages = count === 1 ? least(content) : Infinity;
        if (pages > MAX_FILTER_PAGES) throw content.refuse(`it may have one memory, of at most ${MAX_FILTER_PAGES} pages.`);
        section(id, [1, 1], unsigned(pages), unsigned(pages + Math.ceil(MAX_RECORD_BYTES / PAGE_BYTES)));
        break;
      case SECTION.global:
        globals = count;
        globalSection(rest);
        break;
      case SECTION.export:
        if (!hasGlobals) globalSection([]);
        for (let left = count; left > 0; left--) {
          const name = String.fromCharCode(...content.part().bytes.subarray(0, 8));
          const [kind, index] = [content.byte(), content.unsigned()];
          isExported ||= name === "matches" && kind === 0 && signatures[functions[index] ?? -1] === "127,127>127";
        }
        section(id, unsigned(count + 1), rest, [FUEL.length], Array.from(FUEL, (character) => character.charCodeAt(0)), [3], unsigned(globals));
        break;
      case SECTION.code:
        section(id, unsigned(count + 1), code(content, count, { fuel: globals, pages, pay: functions.length }));
        break;
      // Only numbers are left by the checks of types, so constants, wherever they are computed, are cheap.
      case SECTION.start: case SECTION.element: case SECTION.data: case SECTION.dataCount:
        section(id, content.bytes);
        break;
      default:
        throw content.refuse(`it has a section of kind ${id}, which a filter may not have.`);
    }
  }
  if (pages < 0 || !isExported) throw reader.refuse("it must have a memory and export matches(pointer: i32, length: i32): i32.");
  return { bytes: Uint8Array.from(out), pages };
}

/** All functions, and one more that pays for so many bytes as it is given, and gives the number back. */
function code(content: WasmReader, count: number, module: Metering): number[] {
  const out: number[] = [];
  for (let left = count; left > 0; left--) {
    const body = content.part();
    const metered = applied(body.bytes, meterBody(body, module));
    append(out, unsigned(metered.length));
    append(out, metered);
  }
  // fuel -= bytes >>> 4; if (fuel < 0) trap; return bytes
  const fuel = unsigned(module.fuel);
  const pay = [0, 0x23, ...fuel, 0x20, 0, 0x41, 4, 0x76, 0x6b, 0x24, ...fuel, 0x23, ...fuel, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b, 0x20, 0, 0x0b];
  append(out, [pay.length, ...pay]);
  return out;
}

function applied(body: Uint8Array, edits: readonly Edit[]): number[] {
  const out: number[] = [];
  let at = 0;
  for (const { at: place, remove, insert } of edits) {
    append(out, body.subarray(at, place));
    append(out, insert);
    at = place + remove;
  }
  append(out, body.subarray(at));
  return out;
}

/** One by one: there may be more than fit as arguments. */
function append(out: number[], bytes: ArrayLike<number>): void {
  for (let at = 0; at < bytes.length; at++) out.push(bytes[at]!);
}

/** A function's type, as `parameters>results`. */
function signatureOf(reader: WasmReader): string {
  if (reader.byte() !== FUNCTION_TYPE) throw reader.refuse("it has a type that is no function's.");
  const types = (): string => {
    const all: number[] = [];
    for (let left = reader.unsigned(); left > 0; left--) all.push(reader.numberType());
    return all.join();
  };
  return `${types()}>${types()}`;
}

/** The least size of a table or a memory. Shared and 64-bit ones have other flags. */
function least(reader: WasmReader): number {
  if (reader.byte() > 1) throw reader.refuse("it has a shared or 64-bit memory or table.");
  return reader.unsigned();
}
