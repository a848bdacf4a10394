/** Reads WebAssembly's binary format; beyond the end it refuses. */
export class ByteReader {
  readonly bytes: Uint8Array;
  at = 0;
  readonly #refuse: (message: string, position: number) => Error;
  readonly #base: number;

  /** `base`: where the bytes stand in the whole, for errors. */
  constructor(bytes: Uint8Array, refuse: (message: string, position: number) => Error, base = 0) {
    this.bytes = bytes;
    this.#refuse = refuse;
    this.#base = base;
  }

  get position(): number {
    return this.#base + this.at;
  }

  byte(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw this.#refuse("it ends too early.", this.position);
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
      if (shift >= 2 ** 28) throw this.#refuse("a number is too long.", this.position);
    }
  }

  /** LEB128 of up to 64 bits, signed or not. */
  skipNumber(): void {
    for (let left = 10; left > 0; left--) if (this.byte() < 0x80) return;
    throw this.#refuse("a number is too long.", this.position);
  }

  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.at) throw this.#refuse("it ends too early.", this.position);
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

/** LEB128 of a number from 0 to 2^32 - 1. */
export function unsigned(value: number): number[] {
  const out: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x80) return [...out, left];
    out.push((left & 0x7f) | 0x80);
  }
}

/** The same for where a signed number stands. */
export function signed(value: number): number[] {
  const out: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 0x40) return [...out, left];
    out.push((left & 0x7f) | 0x80);
  }
}
