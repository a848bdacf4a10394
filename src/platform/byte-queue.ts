/** Bytes that come in pieces of any size and are taken in others. */
export class ByteQueue {
  #bytes = new Uint8Array(64 * 1024);
  #start = 0;
  #end = 0;

  get byteLength(): number {
    return this.#end - this.#start;
  }

  push(piece: Uint8Array): void {
    const needed = this.byteLength + piece.byteLength;
    if (this.#end + piece.byteLength > this.#bytes.byteLength) {
      const target = needed > this.#bytes.byteLength ? new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2)) : this.#bytes;
      target.set(this.#bytes.subarray(this.#start, this.#end));
      this.#bytes = target;
      this.#end -= this.#start;
      this.#start = 0;
    }
    this.#bytes.set(piece, this.#end);
    this.#end += piece.byteLength;
  }

  /** The next four bytes, big-endian; they stay. */
  peekInt32(): number {
    return new DataView(this.#bytes.buffer, this.#start, 4).getInt32(0);
  }

  /** A copy of the next bytes, which must be there. */
  take(count: number): Uint8Array {
    this.#start += count;
    return this.#bytes.slice(this.#start - count, this.#start);
  }
}
