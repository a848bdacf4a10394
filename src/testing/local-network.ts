import type { Network } from "../client/http-outbox/network.ts";
import type { Agent } from "./agent.ts";

type Fetch = (input: Request | string | URL, init?: RequestInit) => Promise<Response>;

/** What the tabs of a test's origin send by, and tell each other by. */
export class LocalNetwork {
  readonly #fetch: Fetch | undefined;
  #isOnline = true;
  readonly #changes = new Set<() => void>();
  readonly #channels = new Map<string, Set<(data: unknown) => void>>();

  constructor(fetch: Fetch | undefined) {
    this.#fetch = fetch;
  }

  setOnline(isOnline: boolean): void {
    this.#isOnline = isOnline;
    if (isOnline) for (const change of this.#changes) change();
  }

  /** As one tab has it. */
  of(agent: Agent): Network {
    return {
      fetch: (input, init) => (this.#fetch ?? globalThis.fetch)(input, init),
      isOnline: () => this.#isOnline,
      onChange: (listener) => {
        const change = (): void => void (agent.isAlive && listener());
        this.#changes.add(change);
        return () => void this.#changes.delete(change);
      },
      openChannel: (name, onMessage) => {
        const all = this.#channels.get(name) ?? new Set();
        const receive = (data: unknown): void => void (agent.isAlive && onMessage(data));
        this.#channels.set(name, all.add(receive));
        const post = (data: unknown): void => {
          if (!agent.isAlive) return;
          const copy: unknown = structuredClone(data);
          for (const other of all) if (other !== receive) queueMicrotask(() => other(copy));
        };
        return { post, close: () => void all.delete(receive) };
      },
    };
  }
}
