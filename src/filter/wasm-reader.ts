import type { MQError } from "../model/errors.ts";
import { refuseModule } from "./wasm-module.ts";

/** Reads WebAssembly's binary format. Beyond the end it refuses, so counts need no check of their own. */
export class WasmReader {
  readonly bytes: Uint8Array;
  at: number;
  readonly #base: number;

  /** `base`: where the bytes stand in the module, for errors. */
  constructor(bytes: Uint8Array, at = 0, base = 0) {
    this.bytes = bytes;
    this.at = at;
    this.#base = base;
  }

  refuse(message: string): MQError {
    return refuseModule(message, this.#base + this.at);
  }

  byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw this.refuse("it ends too early.");
    this.at++;
    return byte;
  }

  /** LEB128 of 32 bits. */
  unsigned(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 0x80) {
      const byte = this.byte();
      value += (byte & 0x7f) * shift;
      if (byte < 0x80 && value < 2 ** 32) return value;
      if (shift >= 2 ** 28) throw this.refuse("a number is too long.");
    }
  }

  /** LEB128 of up to 64 bits, signed or not. */
  skipNumber(): void {
    for (let left = 10; left > 0; left--) if (this.byte() < 0x80) return;
    throw this.refuse("a number is too long.");
  }

  /** i32, i64, f32 or f64: the types that are written in one byte in every version. */
  numberType(): number {
    const type = this.byte();
    if (type < 0x7c || type > 0x7f) throw this.refuse("it uses a type besides i32, i64, f32 and f64.");
    return type;
  }

  /** A part of its own. */
  part(): WasmReader {
    const length = this.unsigned();
    if (length > this.bytes.length - this.at) throw this.refuse("it ends too early.");
    this.at += length;
    return new WasmReader(this.bytes.subarray(this.at - length, this.at), 0, this.#base + this.at - length);
  }

  rest(): Uint8Array {
    return this.bytes.subarray(this.at);
  }
}

/** LEB128 of a number from 0 to 2^32 - 1. */
export function unsigned(value: number): number[] {
  return leb(value, 0x80);
}

/** The same for where a signed number stands. */
export function signed(value: number): number[] {
  return leb(value, 0x40);
}

function leb(value: number, end: number): number[] {
  const out: number[] = [];
  let left = value;
  for (; left >= end; left >>>= 7) out.push((left & 0x7f) | 0x80);
  out.push(left);
  return out;
}
