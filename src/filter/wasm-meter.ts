/**
 * A loop in WebAssembly cannot be interrupted from its own thread, and a SharedWorker has no other everywhere. So a filter
 * is rewritten before it is compiled: every function and every turn of a loop first pays for its own length out of a global
 * that the module cannot name, and traps when that is used up. What runs between two payments has been paid for, so fuel
 * bounds instructions. Why, and what else was thought of: docs/decisions/0011-filters.md.
 *
 * Besides: memory never grows from inside, and its size is what it was, because the record lies behind it.
 */
import { FILTER_FUEL, MAX_FILTER_PAGES, MAX_FILTER_TABLE, MAX_RECORD_BYTES } from "../model/limits.ts";
import { ByteReader, signed, unsigned } from "./byte-reader.ts";
import { type Edit, meterBody } from "./wasm-meter-body.ts";
import { numberType, refuseModule, WASM_HEADER } from "./wasm-module.ts";

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
const MATCHES = bytesOf("matches");

/**
 * The module, rewritten. It must be valid as it is: a module that were valid only afterwards could name the global.
 * @throws MQError SUBSCRIPTION_PARSE_FAILED with `position`
 */
export function meterModule(source: Uint8Array): MeteredModule {
  const reader = new ByteReader(source, refuseModule);
  reader.at = WASM_HEADER.length;
  const out: number[] = [...WASM_HEADER];
  const signatures: string[] = [];
  let functions: number[] = [];
  let [types, globals, pages] = [0, 0, -1];
  let isExported = false;
  let hasGlobals = false;

  const section = (id: number, content: ArrayLike<number>): void => {
    out.push(id);
    append(out, unsigned(content.length));
    append(out, content);
  };
  const globalSection = (rest: Uint8Array): void => {
    const content = unsigned(globals + 1);
    append(content, rest);
    append(content, [I32, 1, 0x41, ...signed(FILTER_FUEL), 0x0b]);
    section(SECTION.global, content);
    hasGlobals = true;
  };

  while (reader.at < source.length) {
    const id = reader.byte();
    const size = reader.unsigned();
    const begin = reader.at;
    const end = begin + size;
    const content = new ByteReader(reader.take(size), refuseModule, begin);
    const rest = (): Uint8Array => content.bytes.subarray(content.at);
    const counted = (count: number, more: number[]): void => {
      const changed = unsigned(count);
      append(changed, rest());
      append(changed, more);
      section(id, changed);
    };
    switch (id) {
      case SECTION.custom:
        break;
      case SECTION.type: {
        types = content.unsigned();
        const begun = content.at;
        for (let type = 0; type < types; type++) signatures.push(signatureOf(content));
        content.at = begun;
        counted(types + 1, [FUNCTION_TYPE, 1, I32, 1, I32]);
        break;
      }
      case SECTION.import:
        if (content.unsigned() > 0) throw refuseModule("it imports something; a filter imports nothing.", begin);
        break;
      case SECTION.function: {
        const count = content.unsigned();
        const begun = content.at;
        functions = Array.from({ length: Math.min(count, size) }, () => content.unsigned());
        content.at = begun;
        counted(count + 1, unsigned(types));
        break;
      }
      case SECTION.table: {
        for (let left = content.unsigned(); left > 0; left--) {
          if (content.byte() !== FUNCTION_REFERENCE) throw refuseModule("its tables must hold functions.", content.position);
          const least = limits(content);
          if (least > MAX_FILTER_TABLE) throw refuseModule(`a table has ${least} places; ${MAX_FILTER_TABLE} are allowed.`, content.position);
        }
        section(id, content.bytes);
        break;
      }
      case SECTION.memory: {
        if (content.unsigned() !== 1) throw refuseModule("it must have one memory.", begin);
        pages = limits(content);
        if (pages > MAX_FILTER_PAGES) throw refuseModule(`its memory has ${pages} pages; ${MAX_FILTER_PAGES} are allowed.`, begin);
        section(id, [1, 1, ...unsigned(pages), ...unsigned(pages + Math.ceil(MAX_RECORD_BYTES / PAGE_BYTES))]);
        break;
      }
      case SECTION.global: {
        globals = content.unsigned();
        const begun = content.at;
        for (let left = globals; left > 0; left--) {
          numberType(content);
          content.byte();
          constant(content);
        }
        content.at = begun;
        globalSection(rest());
        break;
      }
      case SECTION.export: {
        if (!hasGlobals) globalSection(new Uint8Array(0));
        const count = content.unsigned();
        const begun = content.at;
        for (let left = count; left > 0; left--) {
          const name = content.take(content.unsigned());
          const kind = content.byte();
          const index = content.unsigned();
          if (kind === 0 && name.length === MATCHES.length && MATCHES.every((byte, at) => name[at] === byte)) isExported = signatures[functions[index] ?? -1] === "127,127>127";
        }
        content.at = begun;
        counted(count + 1, [FUEL.length, ...bytesOf(FUEL), 3, ...unsigned(globals)]);
        break;
      }
      case SECTION.start:
      case SECTION.dataCount:
        section(id, content.bytes);
        break;
      case SECTION.element:
        for (let left = content.unsigned(); left > 0; left--) elements(content);
        section(id, content.bytes);
        break;
      case SECTION.data:
        for (let left = content.unsigned(); left > 0; left--) {
          const kind = content.unsigned();
          if (kind > 1) throw refuseModule("it must have one memory.", content.position);
          if (kind === 0) constant(content);
          content.take(content.unsigned());
        }
        section(id, content.bytes);
        break;
      case SECTION.code:
        section(id, code(content, { fuel: globals, pages, pay: functions.length }));
        break;
      default:
        throw refuseModule(`it has a section of kind ${id}, which a filter may not have.`, begin);
    }
    reader.at = end;
  }
  if (pages < 0) throw refuseModule("it has no memory.", source.length);
  if (!isExported) throw refuseModule("it must export matches(pointer: i32, length: i32): i32.", source.length);
  return { bytes: Uint8Array.from(out), pages };
}

/** All functions, and one more that pays for so many bytes as it is given, and gives the number back. */
function code(content: ByteReader, module: { fuel: number; pages: number; pay: number }): number[] {
  const count = content.unsigned();
  const out = unsigned(count + 1);
  for (let left = count; left > 0; left--) {
    const body = content.take(content.unsigned());
    const edits = meterBody(new ByteReader(body, refuseModule, content.position - body.length), module);
    const metered = applied(body, edits);
    append(out, unsigned(metered.length));
    append(out, metered);
  }
  // fuel -= bytes >>> 4; if (fuel < 0) trap; return bytes
  const fuel = unsigned(module.fuel);
  const pay = [0, 0x23, ...fuel, 0x20, 0, 0x41, 4, 0x76, 0x6b, 0x24, ...fuel, 0x23, ...fuel, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b, 0x20, 0, 0x0b];
  append(out, unsigned(pay.length));
  append(out, pay);
  return out;
}

function append(out: number[], bytes: ArrayLike<number>): void {
  for (let at = 0; at < bytes.length; at++) out.push(bytes[at]!);
}

function bytesOf(ascii: string): number[] {
  return Array.from(ascii, (character) => character.charCodeAt(0));
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

/** A function's type, as `parameters>results`. */
function signatureOf(reader: ByteReader): string {
  if (reader.byte() !== FUNCTION_TYPE) throw refuseModule("it has a type that is no function's.", reader.position);
  const types = (): number[] => Array.from({ length: Math.min(reader.unsigned(), reader.bytes.length) }, () => numberType(reader));
  return `${types().join()}>${types().join()}`;
}

/** The least size of a table or a memory. Shared and 64-bit ones have other flags. */
function limits(reader: ByteReader): number {
  const flags = reader.byte();
  if (flags > 1) throw refuseModule("it has a shared or 64-bit memory or table.", reader.position);
  const least = reader.unsigned();
  if (flags === 1) reader.unsigned();
  return least;
}

/** An expression that gives one constant. */
function constant(reader: ByteReader): void {
  for (;;) {
    const opcode = reader.byte();
    if (opcode === 0x0b) return;
    if (opcode === 0x41 || opcode === 0x42 || opcode === 0x23) reader.skipNumber();
    else if (opcode === 0x43) reader.take(4);
    else if (opcode === 0x44) reader.take(8);
    else throw refuseModule("a constant is computed in a way that a filter may not use.", reader.position);
  }
}

function elements(reader: ByteReader): void {
  const kind = reader.unsigned();
  if (kind > 3) throw refuseModule("a table is filled in a way that a filter may not use.", reader.position);
  if (kind === 2) reader.unsigned();
  if (kind === 0 || kind === 2) constant(reader);
  if (kind > 0) reader.byte();
  for (let left = reader.unsigned(); left > 0; left--) reader.unsigned();
}
