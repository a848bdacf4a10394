/** A page connects, sends, consumes and closes, again and again, and somebody counts what stays of it. Chromium only. */
import { type Census, growth, Heap } from "./heap.ts";
import type { House, Tab } from "./house.ts";

type Host = "shared" | "dedicated";

export const CYCLING = "/cycling";

/** What `House.open` needs. */
export const CYCLE_PAGES = {
  [CYCLING]: `<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>`,
  "/bare.js": `onconnect = ({ ports: [port] }) => (port.onmessage = () => port.postMessage(0));`,
};

export interface Cycling {
  namespace: string;
  host: Host;
}

/** For controls: what each cycle leaves behind. */
export const LEAKS = ["a listener", "a port", "a channel", "a timer", "a lock", "a text", "a connection"] as const;

/** Connects, sends, consumes what it has sent, and closes, so many times. */
export function cycle(tab: Tab, cycling: Cycling, count: number, leak: (typeof LEAKS)[number] | null = null): Promise<void> {
  return tab.run(
    async ({ tabmq, box }, given) => {
      const { namespace, host } = given;
      const kept = (box.kept ??= []) as unknown[];
      for (let at = 0; at < given.count; at++) {
        const mq = await tabmq.connect({ namespace, host, broker: { traceEnable: false } });
        if (given.leak === "a connection") continue;
        const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
        await new Promise<void>((resolve, reject) => {
          const consumer = mq.createPushConsumer({ consumerGroup: "g", subscriptions: { t: "*" }, messageListener: () => resolve() });
          consumer.then(() => producer.send({ topic: "t", body: "x" })).catch(reject);
        });
        await mq.close();
        if (given.leak === "a port") kept.push(new MessageChannel());
        if (given.leak === "a channel") kept.push(new BroadcastChannel("leak"));
        if (given.leak === "a listener") globalThis.addEventListener("message", () => void at);
        if (given.leak === "a timer") setTimeout(() => void at, 3_600_000);
        if (given.leak === "a lock") void navigator.locks.request(`tabmq/${namespace}/leak/${at}`, () => new Promise(() => {}));
        if (given.leak === "a text") kept.push(Array.from({ length: 16_000 }, () => at).join());
      }
      // The browser keeps the last 250.
      performance.clearResourceTimings();
    },
    { ...cycling, count, leak },
  );
}

/** Ways in which `connect` comes to nothing, or to an end. */
export const FAILURES = ["aborted meanwhile", "another key", "another version", "aborted before", "no script", "destroyed"] as const;

/** Connects in vain so many times; returns the codes of the errors, each once. The host is shared. */
export function fail(tab: Tab, cycling: Cycling, count: number, failure: (typeof FAILURES)[number]): Promise<string[]> {
  return tab.run(
    async ({ tabmq }, given) => {
      const { namespace, host } = given;
      const codes = new Set<string>();
      const from = (url: string) => ({ worker: (name: string) => new SharedWorker(url, { name }) });
      for (let at = 0; at < given.count; at++) {
        const abort = new AbortController();
        if (given.failure === "aborted before") abort.abort();
        // From before the first lock to behind the broker's greeting.
        if (given.failure === "aborted meanwhile") setTimeout(() => abort.abort(), at % 8);
        try {
          const mq = await tabmq.connect({
            namespace, host, signal: abort.signal,
            ...(given.failure === "another key" && { encryptionKey: new Uint8Array(32) }),
            ...(given.failure === "another version" && from("/later/worker.js")),
            ...(given.failure === "no script" && from(`/none-${at}.js`)),
          });
          if (given.failure === "destroyed") await mq.admin.destroy();
          codes.add("connected");
          await mq.close();
        } catch (error) {
          codes.add((error as { code: string }).code);
        }
      }
      return [...codes].sort();
    },
    { ...cycling, count, failure },
  );
}

/** What a cycle may leave behind: a message, if it sends one, in the broker's cache, and what Chromium keeps of a SharedWorker object. */
function leaveWhatMayStay(tab: Tab, cycling: Cycling, count: number, sends: boolean): Promise<void> {
  return tab.run(
    async ({ tabmq }, given) => {
      const mq = await tabmq.connect({ namespace: given.namespace, host: given.host, broker: { traceEnable: false } });
      const producer = await mq.createProducer({ producerGroup: "p", sendMsgTimeout: 60_000 });
      for (let at = 0; at < given.count; at++) {
        if (given.sends) await producer.send({ topic: "t", body: "x" });
        if (given.host !== "shared") continue;
        const open = new AbortController();
        const worker = new SharedWorker("/bare.js", { name: "bare" });
        worker.addEventListener("error", () => {}, { signal: open.signal });
        await new Promise((resolve) => {
          worker.port.addEventListener("message", resolve, { signal: open.signal });
          worker.port.start();
          worker.port.postMessage(0, []);
        });
        open.abort();
        worker.port.close();
      }
      await mq.close();
    },
    { ...cycling, count, sends },
  );
}

/** How often a class has to stay behind, by cycle, to count as leaked. */
const LEAKED = 0.5;
/** Bytes a cycle, for what the census leaves out: texts, numbers, tables. */
const LEAKED_BYTES = 500;
/** Bytes in all: so much comes once, also after a short warm-up, and has nothing to do with the cycles. */
const NOISE_BYTES = 512 * 1024;
const ROUNDS = 100;

interface Sight {
  page: Census;
  /** Empty where there is no worker to look into. */
  worker: Census;
  bytes: Census;
  locks: Census;
}

interface Watched {
  /** Where the broker runs; null = each cycle has a worker of its own. */
  worker: "worker" | "shared_worker" | null;
  /** How the URL of the worker's script ends. */
  script?: string;
  /** Each cycle sends a message. */
  sends?: boolean;
}

/** Looks into the page that cycles and into the broker's worker, and says what has stayed. */
export class Watch {
  readonly #tab: Tab;
  readonly #cycling: Cycling;
  readonly #page: Heap;
  readonly #worker: Heap | null;
  #mayStay: Sight | null = null;
  #before: Sight | null = null;

  /** After a warm-up. */
  static async begin(house: House, tab: Tab, cycling: Cycling, { worker, script = "/dist/worker.js", sends = true }: Watched): Promise<Watch> {
    const page = await Heap.of(house.context, "page", CYCLING);
    const inside = worker === null ? null : await Heap.of(house.context, worker, script, `tabmq/1/${cycling.namespace}/`);
    const watch = new Watch(tab, cycling, page, inside);
    if (worker !== null) await leaveWhatMayStay(tab, cycling, ROUNDS, sends);
    const first = await watch.#look();
    if (worker !== null) await leaveWhatMayStay(tab, cycling, ROUNDS, sends);
    watch.#before = await watch.#look();
    watch.#mayStay = worker === null ? null : difference(first, watch.#before);
    return watch;
  }

  private constructor(tab: Tab, cycling: Cycling, page: Heap, worker: Heap | null) {
    this.#tab = tab;
    this.#cycling = cycling;
    this.#page = page;
    this.#worker = worker;
  }

  /** What so many cycles have left behind, and may not, with how many there are. `bytes`: a cycle. */
  async leaks(cycles: number): Promise<{ leaks: string[]; bytes: Record<string, number> }> {
    const stayed = difference(this.#before!, await this.#look());
    const beyond = (place: keyof Sight): [name: string, more: number][] =>
      [...stayed[place]].map(([name, more]) => [name, more - ((this.#mayStay?.[place].get(name) ?? 0) / ROUNDS) * cycles]);
    const bytes = beyond("bytes");
    const leaks = [
      ...beyond("page").filter(([, more]) => more >= cycles * LEAKED).map(([name, more]) => `page: ${name} ${Math.round(more)}`),
      ...beyond("worker").filter(([, more]) => more >= cycles * LEAKED).map(([name, more]) => `worker: ${name} ${Math.round(more)}`),
      ...[...stayed.locks].filter(([, more]) => more > 0).map(([name, more]) => `locks ${name}: ${more}`),
      ...bytes.filter(([, more]) => more >= Math.max(NOISE_BYTES, cycles * LEAKED_BYTES)).map(([name, more]) => `${name}: ${more} bytes`),
    ];
    return { leaks, bytes: Object.fromEntries(bytes.map(([name, more]) => [name, Math.round(more / cycles)])) };
  }

  async end(): Promise<void> {
    await this.#page.detach();
    await this.#worker?.detach();
  }

  async #look(): Promise<Sight> {
    const bytes = new Map([["page", await this.#page.bytes()], ["worker", (await this.#worker?.bytes()) ?? 0]]);
    const locks = await this.#tab.run(async (_side, prefix) => {
      const { held = [], pending = [] } = await navigator.locks.query();
      const count = (infos: LockInfo[]): number => infos.filter(({ name }) => name?.startsWith(prefix)).length;
      return { held: count(held), pending: count(pending) };
    }, `tabmq/${this.#cycling.namespace}/`);
    return { bytes, locks: new Map(Object.entries(locks)), page: await this.#page.census(), worker: (await this.#worker?.census()) ?? new Map() };
  }
}

function difference(before: Sight, after: Sight): Sight {
  const of = (place: keyof Sight): Census => growth(before[place], after[place]);
  return { page: of("page"), worker: of("worker"), bytes: of("bytes"), locks: of("locks") };
}
