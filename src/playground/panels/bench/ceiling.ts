// oxlint-disable-next-line import/default -- with "?url" it is the address, not the module
import workerUrl from "./ceiling-worker.ts?sharedworker&url";
import { trustedScript } from "../../trusted.ts";

export type CeilingCommand =
  | { name: "append"; buffer: ArrayBuffer; bytes: number; isReturned: boolean }
  | { name: "put"; buffer: ArrayBuffer }
  | { name: "readBack" | "clear" | "end" };

/** So many more appended buffers are durable; bytes that come back; a command's result; why nothing more will come. */
export type Answer = { durable: number } | { buffer: ArrayBuffer; bytes: number } | { result: number } | { failure: string };

const BUFFER_BYTES = 256 * 1024;
const LENGTH_BYTES = 4;

/**
 * The tab's side of the raw writer: packs what is sent in one task into length-prefixed buffers and transfers each in one
 * postMessage. Nothing of TabMQ is in it: it is what the platform allows at best.
 */
export class Ceiling {
  /** Rejects when the worker cannot go on; what was asked of it is then never answered. */
  readonly failed: Promise<never>;
  readonly #port: MessagePort;
  #bytes = new Uint8Array(BUFFER_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #end = 0;
  #isPosting = false;
  #open: (() => void)[] = [];
  /** Who waits for each buffer that is on its way. */
  readonly #sent: (() => void)[][] = [];
  readonly #asked: ((result: number) => void)[] = [];
  /** Gets each message that comes back. */
  #consume: ((message: Uint8Array) => void) | null = null;

  constructor(name: string) {
    const worker = new SharedWorker(trustedScript(workerUrl), { type: "module", name });
    let fail: (reason: string) => void;
    this.failed = new Promise((_, reject) => (fail = (reason) => reject(new Error(`The worker that writes to raw IndexedDB failed: ${reason}`))));
    this.failed.catch(() => {});
    worker.addEventListener("error", (event) => fail((event as ErrorEvent).message ?? "its script did not start"));
    this.#port = worker.port;
    this.#port.onmessage = ({ data }: MessageEvent<Answer>) => {
      if ("failure" in data) fail(data.failure);
      else if ("durable" in data) for (const waiting of this.#sent.splice(0, data.durable)) for (const resolve of waiting) resolve();
      else if ("buffer" in data) this.#unpack(data);
      else this.#asked.shift()?.(data.result);
    };
  }

  /** Resolves when the message is durable. */
  send(message: Uint8Array): Promise<void> {
    if (this.#end + LENGTH_BYTES + message.byteLength > BUFFER_BYTES) this.#post();
    this.#view.setUint32(this.#end, message.byteLength);
    this.#bytes.set(message, this.#end + LENGTH_BYTES);
    this.#end += LENGTH_BYTES + message.byteLength;
    if (!this.#isPosting) {
      this.#isPosting = true;
      queueMicrotask(() => {
        this.#isPosting = false;
        this.#post();
      });
    }
    return new Promise((resolve) => this.#open.push(resolve));
  }

  /** One message in one strict transaction: its time inside the worker, ms. */
  put(message: Uint8Array): Promise<number> {
    const { buffer } = message.slice();
    return this.#ask({ name: "put", buffer: buffer as ArrayBuffer }, [buffer as ArrayBuffer]);
  }

  /** Stored, and then handed back to this tab. */
  async trip(message: Uint8Array): Promise<void> {
    const back = new Promise<void>((resolve) => (this.#consume = () => resolve()));
    void this.send(message);
    await back;
    this.#consume = null;
  }

  /** Everything that is stored, message by message. */
  async readBack(consume: (message: Uint8Array) => void): Promise<void> {
    this.#consume = consume;
    await this.#ask({ name: "readBack" });
    this.#consume = null;
  }

  async clear(): Promise<void> {
    await this.#ask({ name: "clear" });
  }

  /** The database is deleted, the worker ends. */
  async end(): Promise<void> {
    await this.#ask({ name: "end" });
    this.#port.close();
  }

  #ask(command: CeilingCommand, transfer: Transferable[] = []): Promise<number> {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      this.#port.postMessage(command, transfer);
    });
  }

  #post(): void {
    if (this.#end === 0) return;
    // A well filled buffer goes as it is, of another a copy; either way one transfer.
    const bytes = this.#end;
    const isWhole = bytes > BUFFER_BYTES / 2;
    const buffer = isWhole ? this.#bytes.buffer : this.#bytes.buffer.slice(0, bytes);
    if (isWhole) {
      this.#bytes = new Uint8Array(BUFFER_BYTES);
      this.#view = new DataView(this.#bytes.buffer);
    }
    this.#end = 0;
    this.#sent.push(this.#open);
    this.#open = [];
    this.#port.postMessage({ name: "append", buffer, bytes, isReturned: this.#consume !== null } satisfies CeilingCommand, [buffer]);
  }

  #unpack({ buffer, bytes }: { buffer: ArrayBuffer; bytes: number }): void {
    const view = new DataView(buffer);
    for (let at = 0; at < bytes; ) {
      const length = view.getUint32(at);
      this.#consume?.(new Uint8Array(buffer, at + LENGTH_BYTES, length));
      at += LENGTH_BYTES + length;
    }
  }
}
