import type { connect, ConnectOptions, TabMQ } from "../../../index.ts";
// oxlint-disable-next-line import/default -- the bundler makes it: the URL of the script
import script from "./tab-realm.ts?worker&url";
import { trustedScript } from "../../trusted.ts";

/** Another tab, as far as the broker can tell: a connection that lives in an iframe, and dies with it. */
export class TabFrame {
  readonly mq: TabMQ;
  readonly #frame: HTMLIFrameElement;

  private constructor(frame: HTMLIFrameElement, mq: TabMQ) {
    this.#frame = frame;
    this.mq = mq;
  }

  static async open(options: ConnectOptions): Promise<TabFrame> {
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.title = options.clientId ?? "";
    try {
      const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }));
      document.body.append(frame);
      await loaded;
      const connects = new Promise<typeof connect>((resolve, reject) => {
        frame.addEventListener("realm", (event) => resolve((event as CustomEvent<typeof connect>).detail), { once: true });
        const code = frame.contentDocument!.createElement("script");
        code.type = "module";
        code.src = trustedScript(script);
        code.addEventListener("error", () => reject(new Error("The script of a tab on the stage could not be loaded.")));
        frame.contentDocument!.head.append(code);
      });
      return new TabFrame(frame, await (await connects)(options));
    } catch (error) {
      frame.remove();
      throw error;
    }
  }

  crash(): void {
    this.#frame.remove();
  }

  async close(): Promise<void> {
    await this.mq.close().catch(() => {});
    this.#frame.remove();
  }
}
