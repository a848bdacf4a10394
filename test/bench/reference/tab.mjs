// @ts-check
/**
 * The reference's tab: packs what was sent in one task into length-prefixed buffers and transfers each in one
 * postMessage. No comlink, no validation, no index, no retries: what the platform allows at best.
 *
 * To the worker: `{ buffer, bytes }` (4 bytes length, message, and so on, for so many bytes), or a command `{ name }`.
 * From the worker: a number (so many more of our buffers are durable), `{ buffer, bytes }` that was published, what
 * another tab has relayed, `{ relayed }`, or `{ result }`.
 */

const BUFFER_BYTES = 256 * 1024;
const LENGTH_BYTES = 4;

export class ReferenceTab {
  /** @type {MessagePort} */
  #port;
  #bytes = new Uint8Array(BUFFER_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;
  #flushing = false;
  /** @type {(() => void)[]} */
  #open = [];
  /** Who waits for each buffer that is on its way. @type {(() => void)[][]} */
  #sent = [];
  /** @type {((result: any) => void)[]} */
  #asked = [];
  /** Gets every message that is published to this tab. @type {(message: Uint8Array) => void} */
  #consume = () => {};
  /** @type {(message: ArrayBuffer) => void} */
  onRelayed = () => {};

  constructor() {
    const worker = new SharedWorker(new URL("worker.mjs", import.meta.url), { type: "module", name: "reference" });
    this.#port = worker.port;
    this.#port.onmessage = ({ data }) => {
      if (typeof data === "number") this.#answered(data);
      else if ("buffer" in data) this.#unpack(data);
      else if ("relayed" in data) this.onRelayed(data.relayed);
      else this.#asked.shift()?.(data.result);
    };
  }

  /**
   * Resolves when the message is durable.
   * @param {Uint8Array} message
   * @returns {Promise<void>}
   */
  send(message) {
    if (this.#end + LENGTH_BYTES + message.byteLength > BUFFER_BYTES) this.#post();
    this.#view.setUint32(this.#end, message.byteLength);
    this.#bytes.set(message, this.#end + LENGTH_BYTES);
    this.#end += LENGTH_BYTES + message.byteLength;
    if (!this.#flushing) {
      this.#flushing = true;
      queueMicrotask(() => {
        this.#flushing = false;
        this.#post();
      });
    }
    return new Promise((resolve) => this.#open.push(resolve));
  }

  /** A strict put of 1 KiB, again and again: the time of each inside the worker, ms. @param {number} count @returns {Promise<number[]>} */
  barePuts(count) {
    return this.#ask({ name: "barePuts", count });
  }

  /** 1 KiB there and back, nothing else. @param {Uint8Array} message */
  async roundTrip(message) {
    const { buffer } = message.slice();
    await this.#ask({ name: "echo", buffer }, [buffer]);
  }

  /** From now on durable messages come to this tab: all, or its share when others subscribe as well. @param {(message: Uint8Array) => void} consume @returns {Promise<void>} */
  subscribe(consume) {
    this.#consume = consume;
    return this.#ask({ name: "subscribe" });
  }

  /** Through the worker to the other subscribed tabs; nothing is stored. @param {Uint8Array} message */
  relay(message) {
    const { buffer } = message.slice();
    this.#port.postMessage({ name: "relay", buffer }, [buffer]);
  }

  /**
   * @param {object} command
   * @param {Transferable[]} [transfers]
   * @returns {Promise<any>}
   */
  #ask(command, transfers = []) {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      this.#port.postMessage(command, transfers);
    });
  }

  #post() {
    if (this.#end === 0) return;
    // A well filled buffer goes as it is, of another a copy; either way one transfer.
    const bytes = this.#end;
    const whole = bytes > BUFFER_BYTES / 2;
    const buffer = whole ? this.#bytes.buffer : this.#bytes.buffer.slice(0, bytes);
    if (whole) {
      this.#bytes = new Uint8Array(BUFFER_BYTES);
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#end = 0;
    this.#sent.push(this.#open);
    this.#open = [];
    this.#port.postMessage({ buffer, bytes }, [buffer]);
  }

  /** @param {{ buffer: ArrayBuffer, bytes: number }} published */
  #unpack({ buffer, bytes }) {
    const view = new DataView(buffer);
    for (let at = 0; at < bytes; ) {
      const length = view.getUint32(at);
      this.#consume(new Uint8Array(buffer, at + LENGTH_BYTES, length));
      at += LENGTH_BYTES + length;
    }
  }

  /** @param {number} buffers */
  #answered(buffers) {
    for (const waiting of this.#sent.splice(0, buffers)) for (const resolve of waiting) resolve();
  }
}
