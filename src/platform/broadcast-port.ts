import type { PortLike } from "../protocol/guarded-endpoint.ts";

/** Opens a channel of this name: whoever has one hears what the others say in it. Nothing is kept for who comes later. */
export type OpenChannel = (name: string) => PortLike;

/** A BroadcastChannel that looks like a port. Nothing can be transferred over it: all is copied. */
export class BroadcastPort implements PortLike {
  readonly #channel: BroadcastChannel;
  #isClosed = false;

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name);
  }

  postMessage(message: unknown): void {
    // After its end a port is silent, and a channel throws.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
    if (!this.#isClosed) this.#channel.postMessage(message);
  }

  addEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#channel.addEventListener("message", listener);
  }

  removeEventListener(_type: "message", listener: (event: MessageEvent) => void): void {
    this.#channel.removeEventListener("message", listener);
  }

  start(): void {}

  close(): void {
    this.#isClosed = true;
    this.#channel.close();
  }

  set onmessageerror(listener: ((event: MessageEvent) => void) | null) {
    this.#channel.onmessageerror = listener;
  }
}
