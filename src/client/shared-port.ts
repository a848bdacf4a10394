import type { PortLike } from "../protocol/guarded-endpoint.ts";

/**
 * The port of a SharedWorker. The browser keeps that object, and its port, until the page or the worker ends (seen in
 * Chromium), however many a page makes: when a connection ends, nothing of it may hang on them.
 */
export class SharedPort implements PortLike {
  readonly #port: MessagePort;
  readonly #open = new AbortController();

  /** `onError`: the worker cannot be started. Firefox tells each page also of an error in one that runs, which is no reason to end it. */
  constructor(worker: SharedWorker, onError: (event: Event) => void) {
    const { signal } = this.#open;
    let runs = false;
    this.#port = worker.port;
    this.#port.addEventListener("message", () => (runs = true), { once: true, signal });
    worker.addEventListener("error", (event) => runs || onError(event), { signal });
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  addEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#port.addEventListener("message", listener, { signal: this.#open.signal });
  }

  removeEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#port.removeEventListener("message", listener);
  }

  start(): void {
    this.#port.start();
  }

  close(): void {
    this.#open.abort();
    this.#port.close();
  }
}
