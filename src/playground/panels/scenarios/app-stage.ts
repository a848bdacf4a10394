import { type BrokerSettings, connect, type TabMQ } from "../../../index.ts";

/** In an iframe of the stage this page is another tab: a client of its own, which can be taken away as a crash does. */
const isTab = window.name === "story-tab";
if (isTab) {
  addEventListener("pagehide", (event) => event.stopImmediatePropagation(), { capture: true });
  frameElement!.dispatchEvent(new CustomEvent("tab", { detail: connect }));
}

/** What a story plays on, in a page of your own. The page says how it goes. */
class Stage {
  mq!: TabMQ;
  readonly signal = new AbortController().signal;
  readonly #frames = new Map<TabMQ, HTMLIFrameElement>();
  readonly #options: { namespace: string; broker: Partial<BrokerSettings> };

  constructor(broker: Partial<BrokerSettings> = {}) {
    this.#options = { namespace: "story", broker };
  }

  async play(run: (stage: Stage) => Promise<void>): Promise<void> {
    await (await connect(this.#options)).admin.destroy(); // What an earlier play has left.
    this.mq = await this.connection("stage");
    await run(this);
    this.#say("The story is over.");
  }

  connection(clientId: string): Promise<TabMQ> {
    return connect({ ...this.#options, clientId });
  }

  async tab(clientId: string): Promise<TabMQ> {
    const frame = Object.assign(document.createElement("iframe"), { name: "story-tab", src: location.href, hidden: true });
    const opened = new Promise<typeof connect>((resolve) => frame.addEventListener("tab", (event) => resolve((event as CustomEvent<typeof connect>).detail)));
    document.body.append(frame);
    const mq = await (await opened)({ ...this.#options, clientId });
    this.#frames.set(mq, frame);
    return mq;
  }

  async crash(tab: TabMQ): Promise<void> {
    this.#frames.get(tab)?.remove();
  }

  killBroker(): never {
    throw new Error("No page can end a SharedWorker: for this, connect needs the option worker.");
  }

  async step(key: string): Promise<void> {
    this.#say(`— ${key}`);
  }

  log(who: string) {
    return (parts: TemplateStringsArray, ...values: unknown[]): void => this.#say(`${who}: ${String.raw(parts, ...values)}`);
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await condition())) await this.pause(50);
  }

  check(key: string, actual: number | string, expected: number | string | { least: number } | { most: number }): void {
    const isGood = typeof expected !== "object" ? actual === expected : "least" in expected ? Number(actual) >= expected.least : Number(actual) <= expected.most;
    this.#say(`${isGood ? "✓" : "✗"} ${key}: ${actual}`);
  }

  #say(text: string): void {
    document.body.append(Object.assign(document.createElement("p"), { textContent: text }));
  }
}

export { isTab, Stage };
