import { textOf } from "../../src/model/errors.ts";
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

  /**
   * The faults of the plan happen in what `live` does; then no more do, and `verify` judges what there is. A run that breaks
   * off is a violation too. Returns how many operations of the store there were before the judgement.
   */
  async run(complain: (violation: string) => void, live: () => Promise<void>, verify: () => Promise<void>): Promise<number> {
    let operations = 0;
    try {
      await live();
      operations = this.plan.operations.length;
      this.plan.repair();
      await verify();
    } catch (error) {
      complain(`the run broke off: ${textOf(error)}`);
    }
    return operations;
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
