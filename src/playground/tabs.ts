import { MAX_RECEIPTS, type Receipt, toReceipt } from "./receipt.ts";

/**
 * The page's tabs tell each other what they received. This is the page's own doing and no part of the broker, which
 * only knows offsets: a tab that is not a playground shows up as an owner of queues, but not in the feed.
 */
export class Tabs {
  readonly #channel: BroadcastChannel;

  constructor(namespace: string, heard: (receipts: Receipt[]) => void) {
    this.#channel = new BroadcastChannel(`tabmq-playground/2/${namespace}`);
    this.#channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (!Array.isArray(data)) return;
      heard(data.slice(0, MAX_RECEIPTS).map(toReceipt).filter((receipt) => receipt !== undefined));
    };
  }

  post(receipts: readonly Receipt[]): void {
    for (let at = 0; at < receipts.length; at += MAX_RECEIPTS) {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a BroadcastChannel never leaves its origin
      this.#channel.postMessage(receipts.slice(at, at + MAX_RECEIPTS));
    }
  }

  close(): void {
    this.#channel.close();
  }
}
