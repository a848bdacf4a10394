/** HTTP servers and the network before them, in virtual time: what an outbox of a page sends by. */
import type { Network } from "../../src/client/http-outbox/network.ts";
import type { VirtualTime } from "./virtual-origin.ts";

export interface Seen {
  /** Virtual ms. */
  at: number;
  method: string;
  url: string;
  key: string;
  body: string;
  headers: Headers;
  redirect: RequestRedirect;
}

/** An answer, or null: there is none, the network fails. */
export type Answer = (seen: Seen) => Response | null | Promise<Response | null>;

/** A server that takes each idempotency key once, and everything that it was asked. */
export class HttpWorld {
  readonly seen: Seen[] = [];
  /** Bodies it has taken, each key once, in the order of their coming. */
  readonly taken: string[] = [];
  readonly #keys = new Set<string>();
  readonly #time: VirtualTime;
  readonly #changes = new Set<() => void>();
  readonly #channels = new Map<string, Set<(data: unknown) => void>>();
  answer: Answer = () => new Response(null, { status: 201 });
  /** One way, ms. */
  latency = 5;
  #isOnline = true;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  get bodies(): string[] {
    return this.seen.map(({ body }) => body);
  }

  /** What a body was asked with, ms after its first try. */
  timesOf(body: string): number[] {
    const times = this.seen.filter((seen) => seen.body === body).map(({ at }) => at);
    return times.map((at) => at - times[0]!);
  }

  setOnline(isOnline: boolean): void {
    this.#isOnline = isOnline;
    if (isOnline) this.change();
  }

  /** What `online` and a page brought to the front tell. */
  change(): void {
    for (const listener of this.#changes) listener();
  }

  /** As one tab has it. */
  network(): Network {
    return {
      fetch: (input, init) => this.#fetch(input, init),
      isOnline: () => this.#isOnline,
      onChange: (listener) => {
        this.#changes.add(listener);
        return () => void this.#changes.delete(listener);
      },
      openChannel: (name, onMessage) => {
        const all = this.#channels.get(name) ?? new Set();
        this.#channels.set(name, all.add(onMessage));
        const post = (data: unknown): void => {
          for (const other of all) if (other !== onMessage) this.#time.post(() => other(structuredClone(data)));
        };
        return { post, close: () => void all.delete(onMessage) };
      },
    };
  }

  async #fetch(input: Request | string | URL, init: RequestInit): Promise<Response> {
    const { signal } = init;
    signal?.throwIfAborted();
    const request = new Request(typeof input === "string" ? new URL(input, "https://shop.test") : input, { ...init, signal: null });
    const headers = new Headers(request.headers);
    const seen: Seen = { at: this.#time.now(), method: request.method, url: request.url, key: headers.get("idempotency-key") ?? "", body: await request.text(), headers, redirect: request.redirect };
    await this.#time.sleep(this.latency);
    signal?.throwIfAborted();
    this.seen.push(seen);
    const response = await this.answer(seen);
    if (response?.ok && !this.#keys.has(seen.key)) {
      this.#keys.add(seen.key);
      this.taken.push(seen.body);
    }
    await this.#time.sleep(this.latency);
    signal?.throwIfAborted();
    if (response === null) throw new TypeError("Failed to fetch");
    return response;
  }
}
