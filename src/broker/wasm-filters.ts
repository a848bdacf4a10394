import { MQError } from "../model/errors.ts";
import { MAX_FILTER_MODULES } from "../model/limits.ts";
import type { Filter } from "../protocol/api.ts";
import type { Session } from "./session.ts";
import { type Subscription, wasmSubscription } from "./subscription.ts";
import { WasmFilter } from "./wasm-filter.ts";

/** Who may bring filters in WebAssembly, and how many. */
export class WasmFilters {
  readonly #sessions: () => Iterable<Session>;
  #loading = 0;

  constructor(sessions: () => Iterable<Session>) {
    this.#sessions = sessions;
  }

  /** The modules among a member's filters, ready to run. */
  async load(session: Session, filters: readonly [topic: string, filter: Filter][]): Promise<Map<string, Subscription>> {
    const loaded = new Map<string, Subscription>();
    for (const [topic, filter] of filters) {
      if (typeof filter === "string" || filter.type !== "WASM") continue;
      if (!session.mayBringFilters) {
        throw new MQError("NO_PERMISSION", "A tab brings filters in WebAssembly only when it has connected with broker.enableWasmFilter.", { field: "subscriptions" });
      }
      if (this.#running() + this.#loading + loaded.size >= MAX_FILTER_MODULES) {
        throw new MQError("FLOW_CONTROL", `The broker runs ${MAX_FILTER_MODULES} filters in WebAssembly already.`, { field: "subscriptions" });
      }
      this.#loading++;
      try {
        loaded.set(topic, wasmSubscription(filter.module, await WasmFilter.load(filter.module)));
      } finally {
        this.#loading--;
      }
    }
    return loaded;
  }

  #running(): number {
    let count = 0;
    for (const { members } of this.#sessions()) {
      for (const { subscriptions } of members) for (const { isModule } of subscriptions.values()) if (isModule) count++;
    }
    return count;
  }
}
