import { isArrayBuffer, isUint8Array } from "../model/binary.ts";
import { MQError } from "../model/errors.ts";
import { MAX_FILTER_MODULE_BYTES } from "../model/limits.ts";

/** `\0asm`, version 1. */
export const WASM_HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

export function refuseModule(message: string, position: number, cause?: unknown): MQError {
  return new MQError("SUBSCRIPTION_PARSE_FAILED", `WebAssembly filter: ${message}`, { field: "bytes", position, cause });
}

/** A copy of bytes that may be a module: what a module may do is checked in the broker (wasm-meter.ts). */
export function checkWasmModule(value: unknown, field: string): Uint8Array<ArrayBuffer> {
  const bytes = isArrayBuffer(value) ? new Uint8Array(value) : value;
  if (!isUint8Array(bytes)) throw new MQError("INVALID_PARAMETER", `${field} must be the bytes of a WebAssembly module.`, { field });
  if (bytes.byteLength > MAX_FILTER_MODULE_BYTES) {
    throw refuseModule(`it has ${bytes.byteLength} bytes; ${MAX_FILTER_MODULE_BYTES} are allowed.`, MAX_FILTER_MODULE_BYTES);
  }
  const wrong = WASM_HEADER.findIndex((byte, at) => bytes[at] !== byte);
  if (wrong >= 0) throw refuseModule("these bytes are no module of version 1.", wrong);
  return bytes.slice() as Uint8Array<ArrayBuffer>;
}
