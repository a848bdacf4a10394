/**
 * What kind of bytes a value is, by its brand: `instanceof` fails for one of another window, and for all that `structuredClone`,
 * `TextEncoder` and `crypto.subtle` give in tests whose globals are a simulated page's (jsdom).
 */
const brandOf = (value: unknown): string => Object.prototype.toString.call(value);

export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return brandOf(value) === "[object ArrayBuffer]";
}

export function isUint8Array(value: unknown): value is Uint8Array<ArrayBuffer> {
  return brandOf(value) === "[object Uint8Array]" && ArrayBuffer.isView(value);
}
