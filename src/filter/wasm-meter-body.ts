import { signed, unsigned, type WasmReader } from "./wasm-reader.ts";

/** Bytes that take the place of others. */
export interface Edit {
  at: number;
  remove: number;
  insert: number[];
}

export interface Metering {
  /** Index of the global. */
  fuel: number;
  /** Index of the function that pays for bytes. */
  pay: number;
  pages: number;
}

/**
 * What has to change in one function. It has to read what an engine reads, instruction by instruction: a loop that looked
 * like a part of something else would run for nothing. Known are the instructions of the first version of WebAssembly, and
 * what compilers use by default since: sign extension, conversions without traps, bulk memory, several values.
 */
export function meterBody(reader: WasmReader, module: Metering): Edit[] {
  let locals = 0;
  for (let left = reader.unsigned(); left > 0; left--) {
    locals += reader.unsigned();
    reader.numberType();
  }
  /** What was read so far costs, besides its bytes. */
  let extra = 0;
  const entry: Edit = { at: reader.at, remove: 0, insert: [] };
  const edits = [entry];
  /** Open blocks; loops with the edit that has to pay for a turn. */
  const open: ({ turn: Edit; extra: number } | null)[] = [];
  while (reader.at < reader.bytes.length) {
    const begin = reader.at;
    const opcode = reader.byte();
    if (opcode >= 0x45 && opcode <= 0xc4) {
      if (SLOW.has(opcode)) extra += SLOW_COST;
      continue;
    }
    if (opcode >= 0x28 && opcode <= 0x3e) {
      // From 64 on, the alignment says that another memory is meant.
      if (reader.unsigned() >= 64) throw reader.refuse("it must have one memory.");
      reader.unsigned();
      continue;
    }
    switch (opcode) {
      case 0x00: case 0x01: case 0x05: case 0x0f: case 0x1a: case 0x1b: // unreachable, nop, else, return, drop, select
        break;
      case 0x02: case 0x04: // block, if
        blockType(reader);
        open.push(null);
        break;
      case 0x03: { // loop
        blockType(reader);
        const turn: Edit = { at: reader.at, remove: 0, insert: [] };
        edits.push(turn);
        open.push({ turn, extra });
        break;
      }
      case 0x0b: { // end
        const loop = open.pop();
        if (loop) loop.turn.insert = charge(module.fuel, reader.at - loop.turn.at + extra - loop.extra);
        break;
      }
      case 0x0c: case 0x0d: case 0x10: // br, br_if, call
      case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: // local.get, .set, .tee, global.get, .set
        reader.unsigned();
        break;
      case 0x0e: // br_table
        for (let left = reader.unsigned(); left >= 0; left--) reader.unsigned();
        break;
      case 0x11: // call_indirect
        reader.unsigned();
        reader.unsigned();
        extra += SLOW_COST;
        break;
      case 0x1c: // select with a type
        for (let left = reader.unsigned(); left > 0; left--) reader.numberType();
        break;
      case 0x3f: // memory.size: what it was
        onlyMemory(reader);
        edits.push({ at: begin, remove: reader.at - begin, insert: [0x41, ...signed(module.pages)] });
        break;
      case 0x40: // memory.grow: there is no more
        onlyMemory(reader);
        edits.push({ at: begin, remove: reader.at - begin, insert: [0x1a, 0x41, 0x7f] });
        break;
      case 0x41: case 0x42: // i32.const, i64.const
        reader.skipNumber();
        break;
      case 0x43: // f32.const
        reader.at += 4;
        break;
      case 0x44: // f64.const
        reader.at += 8;
        break;
      case 0xfc: {
        const more = reader.unsigned();
        if (more > 11) throw reader.refuse("it uses an instruction that a filter may not use.");
        if (more === 8 || more === 9) reader.unsigned(); // memory.init, data.drop
        if (more === 8 || more >= 10) onlyMemory(reader); // memory.copy, memory.fill
        if (more === 10) onlyMemory(reader);
        // Their length is on the stack: it is paid for before.
        if (more === 8 || more >= 10) edits.push({ at: begin, remove: 0, insert: [0x10, ...unsigned(module.pay)] });
        break;
      }
      default:
        throw reader.refuse(`it uses the instruction 0x${opcode.toString(16)}, which a filter may not use.`);
    }
  }
  entry.insert = charge(module.fuel, reader.bytes.length + locals + extra);
  return edits;
}

/** div and rem of integers, div and sqrt of floats: they take as long as many others. */
const SLOW = new Set([0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3]);
const SLOW_COST = 16;

/** Nothing, a number, or the index of a type. Other values are written longer than a byte, by engines that know them. */
function blockType(reader: WasmReader): void {
  const first = reader.bytes[reader.at] ?? 0;
  if (first === 0x40) reader.at++;
  else if (first >= 0x40 && first < 0x80) reader.numberType();
  else reader.skipNumber();
}

function onlyMemory(reader: WasmReader): void {
  if (reader.unsigned() !== 0) throw reader.refuse("it must have one memory.");
}

/** fuel -= cost; if (fuel < 0) trap */
function charge(fuel: number, cost: number): number[] {
  const global = unsigned(fuel);
  return [0x23, ...global, 0x41, ...signed(cost), 0x6b, 0x24, ...global, 0x23, ...global, 0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b];
}
