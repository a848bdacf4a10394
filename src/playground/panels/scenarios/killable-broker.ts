// oxlint-disable-next-line import/default -- the bundler makes it: the URL of the script
import script from "./broker-worker.ts?worker&url";
import { trustedScript } from "../../trusted.ts";

/**
 * A broker that can be killed. No page can end a SharedWorker; a Worker it can, and so for one story the same script runs
 * in one, and `connect` is given ports to it by its option `worker`. The end is what a crash is: nothing is finished.
 */
export class KillableBroker {
  #worker: Worker | null = null;

  /** For `connect`: leads to the broker there is, or starts the next. */
  readonly open = (): SharedWorker => {
    this.#worker ??= new Worker(trustedScript(script), { type: "module" });
    const { port1, port2 } = new MessageChannel();
    this.#worker.postMessage(null, [port2]);
    return Object.assign(new EventTarget(), { port: port1, onerror: null }) as unknown as SharedWorker;
  };

  kill(): void {
    this.#worker?.terminate();
    this.#worker = null;
  }
}
