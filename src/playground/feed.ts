import { computed, signal } from "@preact/signals";
import type { MessageExt } from "../index.ts";
import { counted, shortened } from "./format.ts";
import { refreshSoon } from "./lanes.ts";
import { address, announce, client } from "./state.ts";
import { postReceipts } from "./tabs.ts";
import type { Receipt } from "./receipt.ts";
import { MAX_BODY_SHOWN, MAX_RECEIPTS } from "./receipt.ts";

/** A receipt with a name of its own for the list: the same message may come twice. */
export interface FeedRow extends Receipt {
  id: number;
  own: boolean;
}

export const rows = signal<readonly FeedRow[]>([]);
export const ownCount = signal(0);
export const otherCount = signal(0);
export const showsOthers = signal(true);
export const shownRows = computed(() => (showsOthers.value ? rows.value : rows.value.filter((row) => row.own)));

/** A burst is drawn once in this time. */
const DRAW_EVERY = 80;
const ANNOUNCE_EVERY = 1500;

let nextId = 1;
let waiting: FeedRow[] = [];
let drawnAt = -Infinity;
let drawing: ReturnType<typeof setTimeout> | undefined;
let unannounced = 0;
let announcing: ReturnType<typeof setTimeout> | undefined;

let unposted: Receipt[] = [];
/** A task of its own, and unlike a timer not slowed down while the tab is in the background. */
const soon = new MessageChannel();
soon.port1.onmessage = () => postReceipts(address.namespace, unposted.splice(0));

/** A consumer of this tab was given a message. */
export function received(message: MessageExt, group: string, attempt: number): void {
  const receipt = receiptOf(message, client.value?.clientId ?? "", group, attempt);
  if (unposted.push(receipt) === 1) soon.port2.postMessage(null);
  ownCount.value++;
  unannounced++;
  announcing ??= setTimeout(() => {
    announcing = undefined;
    announce(`This tab received ${counted(unannounced, "message")}.`);
    unannounced = 0;
  }, ANNOUNCE_EVERY);
  add(receipt, true);
}

/** Another tab of this page says that it was given messages. */
export function receivedElsewhere(receipts: Receipt[]): void {
  otherCount.value += receipts.length;
  for (const receipt of receipts) add(receipt, false);
}

export function clearFeed(): void {
  waiting = [];
  rows.value = [];
}

function add(receipt: Receipt, own: boolean): void {
  waiting.push({ ...receipt, id: nextId++, own });
  refreshSoon();
  drawing ??= setTimeout(draw, Math.max(0, drawnAt + DRAW_EVERY - performance.now()));
}

function draw(): void {
  drawing = undefined;
  drawnAt = performance.now();
  const newest = waiting.splice(0).slice(-MAX_RECEIPTS).reverse();
  rows.value = [...newest, ...rows.value].slice(0, MAX_RECEIPTS);
}

function receiptOf(message: MessageExt, clientId: string, group: string, attempt: number): Receipt {
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
  };
}
