import { batch, computed, signal } from "@preact/signals";
import type { MessageExt } from "../index.ts";
import type { Devtools } from "../devtools/context.ts";
import { MAX_BODY_SHOWN, MAX_RECEIPTS, type Receipt } from "./receipt.ts";
import { Tabs } from "./tabs.ts";

/** A receipt with a name of its own for the list: the same message may come twice. */
export interface FeedRow extends Receipt {
  id: number;
  own: boolean;
}

/** A burst is drawn once in this time, a flood of whole pages less often. */
const DRAW_EVERY = 80;
const DRAW_FLOOD_EVERY = 1000;
const FLOOD = 12;
/** Of a flood nobody reads more before the next are there. */
const MOST_OF_FLOOD = 60;
const ANNOUNCE_EVERY = 1500;

/** What consumers of this tab, and of the page's other tabs, were given. */
export class Feed {
  readonly rows = signal<readonly FeedRow[]>([]);
  readonly ownCount = signal(0);
  readonly otherCount = signal(0);
  readonly showsOthers = signal(true);
  readonly shown = computed(() => (this.showsOthers.value ? this.rows.value : this.rows.value.filter((row) => row.own)));
  /** How many messages were not consumed, by client id. */
  readonly failed = signal<ReadonlyMap<string, number>>(new Map());
  readonly #devtools: Devtools;
  readonly #tabs: Tabs;
  /** As of now; what is shown follows with the next drawing. */
  readonly #counts = { own: 0, others: 0 };
  #nextId = 1;
  #waiting: FeedRow[] = [];
  #drawnAt = -Infinity;
  #drawing: ReturnType<typeof setTimeout> | undefined;
  #unannounced = 0;
  #announcing: ReturnType<typeof setTimeout> | undefined;
  #unposted: Receipt[] = [];
  /** A task of its own, and unlike a timer not slowed down while the tab is in the background. */
  readonly #soon = new MessageChannel();

  constructor(devtools: Devtools) {
    this.#devtools = devtools;
    this.#tabs = new Tabs(devtools.session.namespace, (receipts) => {
      for (const receipt of receipts) this.#add(receipt, false);
    });
    this.#soon.port1.onmessage = () => this.#tabs.post(this.#unposted.splice(0));
  }

  /** A consumer of this tab was given a message. */
  received(message: MessageExt, group: string, attempt: number, isFailing: boolean): void {
    const clientId = this.#devtools.session.client.peek()?.clientId ?? "";
    const receipt = receiptOf(message, clientId, group, attempt, isFailing);
    if (this.#unposted.push(receipt) === 1) this.#soon.port2.postMessage(null);
    this.#unannounced++;
    this.#announcing ??= setTimeout(() => {
      this.#announcing = undefined;
      this.#devtools.announce(this.#devtools.settings.translate.peek()("live.feed.announce", { count: this.#unannounced }));
      this.#unannounced = 0;
    }, ANNOUNCE_EVERY);
    this.#add(receipt, true);
  }

  clear(): void {
    this.#waiting = [];
    this.rows.value = [];
  }

  close(): void {
    clearTimeout(this.#drawing);
    clearTimeout(this.#announcing);
    this.#soon.port1.close();
    this.#tabs.close();
  }

  #add(receipt: Receipt, own: boolean): void {
    this.#waiting.push({ ...receipt, id: this.#nextId++, own });
    this.#counts[own ? "own" : "others"]++;
    if (receipt.failed > 0) this.failed.value = new Map(this.failed.value).set(receipt.clientId, (this.failed.value.get(receipt.clientId) ?? 0) + 1);
    this.#drawing ??= setTimeout(() => this.#draw(), Math.max(0, this.#drawnAt + DRAW_EVERY - performance.now()));
  }

  #draw(): void {
    this.#drawing = undefined;
    // A flood is drawn when it has been one for a while.
    if (this.#waiting.length > FLOOD && performance.now() < this.#drawnAt + DRAW_FLOOD_EVERY) {
      this.#drawing = setTimeout(() => this.#draw(), this.#drawnAt + DRAW_FLOOD_EVERY - performance.now());
      return;
    }
    this.#drawnAt = performance.now();
    const isFlood = this.#waiting.length > FLOOD;
    const newest = this.#waiting.splice(0).slice(-MAX_RECEIPTS).reverse();
    batch(() => {
      [this.ownCount.value, this.otherCount.value] = [this.#counts.own, this.#counts.others];
      this.rows.value = [...newest, ...this.rows.value].slice(0, isFlood ? MOST_OF_FLOOD : MAX_RECEIPTS);
    });
  }
}

function receiptOf(message: MessageExt, clientId: string, group: string, attempt: number, isFailing: boolean): Receipt {
  const { topic, queueId, queueOffset, tags, keys, bodyKind, body } = message;
  // Only the beginning is decoded: a body may have 4 MiB.
  const start = new TextDecoder().decode(body.subarray(0, MAX_BODY_SHOWN * 2));
  return {
    clientId, group, topic, queueId, queueOffset, attempt,
    tags: shortened(tags ?? "", 64),
    keys: shortened(keys.join(" "), 64),
    body: bodyKind === "bytes" ? "" : shortened(start, MAX_BODY_SHOWN),
    bodyBytes: body.byteLength,
    bornAt: message.bornTimestamp,
    receivedAt: Date.now(),
    failed: isFailing ? 1 : 0,
  };
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
