import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { type Fault, FaultPlan, FaultyStore } from "./faulty-store.ts";
import { VirtualOrigin } from "./virtual-origin.ts";

/** An origin on virtual time whose one disk fails where the plan says; a crash takes the worker and its stores with it. */
export class FaultyOrigin extends VirtualOrigin {
  readonly disk = new MemoryDisk();
  readonly plan: FaultPlan;
  readonly #stores: FaultyStore[] = [];

  /** `afterOperation`: looked at after every operation of the store. */
  constructor(faults: Fault[], afterOperation: () => void = () => {}) {
    super(() => this.#openStore(afterOperation), { memo: null });
    this.plan = new FaultPlan(faults);
    this.plan.onCrash = () => this.killWorker();
  }

  override killWorker(): void {
    super.killWorker();
    for (const store of this.#stores.splice(0)) store.kill();
  }

  override killAll(): void {
    this.killWorker();
    super.killAll();
  }

  #openStore(afterOperation: () => void): FaultyStore {
    const store = new FaultyStore(new MemoryStore(this.disk), this.plan, async () => {
      afterOperation();
      await this.time.sleep(1);
    });
    this.#stores.push(store);
    return store;
  }
}
