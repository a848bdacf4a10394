import { MQError } from "../model/errors.ts";
import { MAX_FILTER_MODULES } from "../model/limits.ts";
import type { Filter } from "../protocol/api.ts";
import type { Session } from "./session.ts";
import { type Subscription, wasmSubscription } from "./subscription.ts";
import { WasmFilter } from "./wasm-filter.ts";

/** Who may bring filters in WebAssembly, and how many. */
export class WasmFilters {
  readonly #sessions: () => Iterable<Session>;
  /** Those of members that are about to join. */
  #coming = 0;

  constructor(sessions: () => Iterable<Session>) {
    this.#sessions = sessions;
  }

  /** Makes the modules among a member's filters ready to run, and lets it join with them. */
  async bring<T>(session: Session, filters: readonly [topic: string, filter: Filter][], join: (modules: ReadonlyMap<string, Subscription>) => T): Promise<T> {
    const modules = filters.flatMap(([topic, filter]) => (typeof filter === "object" && filter.type === "WASM" ? [{ topic, module: filter.module }] : []));
    const loaded = new Map<string, Subscription>();
    if (modules.length === 0) return join(loaded);
    if (!session.mayBringFilters) {
      throw new MQError("NO_PERMISSION", "A tab brings filters in WebAssembly only when it has connected with broker.enableWasmFilter.", { field: "subscriptions" });
    }
    if (this.#running() + this.#coming + modules.length > MAX_FILTER_MODULES) {
      throw new MQError("FLOW_CONTROL", `A broker runs at most ${MAX_FILTER_MODULES} filters in WebAssembly.`, { field: "subscriptions" });
    }
    this.#coming += modules.length;
    try {
      for (const { topic, module } of modules) loaded.set(topic, wasmSubscription(module, await WasmFilter.load(module)));
      return join(loaded);
    } finally {
      this.#coming -= modules.length;
    }
  }

  #running(): number {
    let count = 0;
    for (const { members } of this.#sessions()) {
      for (const { subscriptions, wish } of members) {
        for (const { isModule } of [...subscriptions.values(), ...(wish?.terms.subscriptions.values() ?? [])]) if (isModule) count++;
      }
    }
    return count;
  }
}
