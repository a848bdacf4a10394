import { BroadcastPort } from "../../platform/broadcast-port.ts";

/** What an HTTP outbox needs of a page besides a broker; replaced in tests. */
export interface Network {
  fetch(input: Request | string | URL, init: RequestInit): Promise<Response>;
  /** False: there is certainly no network. True says little: a network without internet counts as online. */
  isOnline(): boolean;
  /** Tells that it may be worth a try again: the browser is online, or the page was brought to the front. Returns how to stop. */
  onChange(listener: () => void): () => void;
  /** To the outboxes of this name in other tabs; null where there is no way. */
  openChannel(name: string, onMessage: (data: unknown) => void): NetworkChannel | null;
}

export interface NetworkChannel {
  post(data: unknown): void;
  close(): void;
}

export const systemNetwork: Network = {
  fetch: (input, init) => globalThis.fetch(input, init),
  isOnline: () => (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine !== false,
  onChange(listener) {
    if (typeof globalThis.addEventListener !== "function") return () => {};
    // Timers of hidden tabs are slow, and those of a machine that slept are late: who looks at the page shall not wait for them.
    const onVisible = (): void => {
      if (document.visibilityState === "visible") listener();
    };
    globalThis.addEventListener("online", listener);
    globalThis.document?.addEventListener("visibilitychange", onVisible);
    return () => {
      globalThis.removeEventListener("online", listener);
      globalThis.document?.removeEventListener("visibilitychange", onVisible);
    };
  },
  openChannel(name, onMessage) {
    if (typeof BroadcastChannel === "undefined") return null;
    const channel = new BroadcastPort(name);
    channel.addEventListener("message", ({ data }) => onMessage(data));
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
    return { post: (data) => channel.postMessage(data), close: () => channel.close() };
  },
};
