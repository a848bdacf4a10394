import { isArrayBuffer } from "../model/binary.ts";
import { inDoubt, MQError } from "../model/errors.ts";
import type { Message, MessageDraft } from "../model/message.ts";
import { offsetMsgId } from "../model/message-id.ts";
import type { MessageQueue } from "../model/queue.ts";
import { BROKER_ADDRESS } from "../model/record-codec.ts";
import { recallHandle } from "../model/timer.ts";
import type { OutboxEntry } from "./outbox.ts";
import type { SendOptions, SendResult } from "./producer.ts";
import type { Route } from "./routes.ts";

/** Whoever made the parcel. */
export interface ParcelOwner {
  /** All its messages are stored: none of them is in doubt any more. */
  stored(parcel: Parcel): void;
  /** Its promise is about to settle. */
  settled(parcel: Parcel, error: unknown): void;
  forgetRoute(topic: string): void;
  sendAgain(parcel: Parcel): void;
}

/** One call of `send`: its messages, until their outcome is known. */
export class Parcel {
  readonly drafts: MessageDraft[];
  readonly messages: Message[];
  readonly options: SendOptions;
  /** When the whole send has to be over, on the monotonic clock. */
  readonly deadline: number;
  /** How far the log was durable before the first of its messages was sent for the first time. */
  readonly from: number;
  readonly outcome: Promise<SendResult>;
  /** Its time was up before it could be handed over. */
  isLate = false;
  /** Nobody waits for it: it is sent once. */
  isOneway = false;
  /** Where to send it had to be asked: that time counts too, so the outbox gets what is left. */
  hasAsked = false;
  readonly #owner: ParcelOwner;
  #resolve!: (result: SendResult) => void;
  #reject!: (error: unknown) => void;
  /** The broker did not know its topic, and was asked for it once more. */
  #isSecondTry = false;
  /** An earlier parcel, with the same message, may have been stored. */
  readonly #isAgain: boolean;
  /** An earlier try of this one may have been stored. */
  #isDoubtful = false;
  #isSettled = false;
  #queue: MessageQueue | null = null;
  #queueOffset = -1;
  #offsetMsgIds = "";

  constructor(owner: ParcelOwner, content: { drafts: MessageDraft[]; messages: Message[]; options: SendOptions; deadline: number; from: number; isAgain: boolean }) {
    this.#owner = owner;
    this.drafts = content.drafts;
    this.messages = content.messages;
    this.options = content.options;
    this.deadline = content.deadline;
    this.from = content.from;
    this.#isAgain = content.isAgain;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** What the outbox is given: one entry a message. */
  entries(queue: MessageQueue, route: Route): OutboxEntry[] {
    this.#queue = queue;
    this.#offsetMsgIds = "";
    const from = this.#isAgain || this.#isDoubtful ? this.from : undefined;
    return this.drafts.map((draft, at) => new ParcelEntry(this, at, draft, route.topicBytes, queue.queueId, from));
  }

  /** Before it could be handed over, or for good. */
  fail(error: unknown): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const told = this.#isDoubtful && error instanceof MQError ? inDoubt(error) : error;
    this.#owner.settled(this, told);
    this.#reject(told);
  }

  stored(at: number, offset: number, position: number, unflushed: boolean, queueId: number, due: number | null): void {
    if (at === 0) {
      this.#queueOffset = offset;
      // Where an earlier try has put it.
      if (queueId !== this.#queue!.queueId) this.#queue = { ...this.#queue!, queueId };
    }
    this.#offsetMsgIds += (at === 0 ? "" : ",") + offsetMsgId(BROKER_ADDRESS.ip, BROKER_ADDRESS.port, position);
    const last = this.drafts.length - 1;
    if (at < last || this.#isSettled) return;
    this.#isSettled = true;
    const draft = this.drafts[last]!;
    this.#owner.stored(this);
    this.#owner.settled(this, null);
    this.#resolve({
      sendStatus: unflushed && draft.waitStoreMsgOK ? "FLUSH_DISK_TIMEOUT" : "SEND_OK",
      msgId: last === 0 ? draft.msgId : this.drafts.map(({ msgId }) => msgId).join(","),
      offsetMsgId: this.#offsetMsgIds,
      messageQueue: this.#queue!,
      queueOffset: this.#queueOffset,
      // A timer is always alone.
      ...(due === null ? {} : { recallHandle: recallHandle({ topic: draft.topic, brokerName: this.#queue!.brokerName, due, msgId: draft.msgId }) }),
    });
  }

  refused(at: number, error: MQError): void {
    if (error.code === "TOPIC_NOT_EXIST" || error.field === "queueId") this.#owner.forgetRoute(this.drafts[at]!.topic);
    // The topic is gone with a store that was lost while this was on its way: what may be made on the fly is made again.
    this.#isDoubtful ||= error.outcome === "unknown";
    if (error.code !== "TOPIC_NOT_EXIST" || this.#isSecondTry || this.isOneway || !this.#ownsBytes()) return this.fail(error);
    if (at < this.drafts.length - 1) return;
    this.#isSecondTry = true;
    this.#owner.sendAgain(this);
  }

  /** Those that the caller gave may be others by now. */
  #ownsBytes(): boolean {
    return this.hasAsked || this.messages.every(({ body }) => !isArrayBuffer(body) && !ArrayBuffer.isView(body));
  }
}

class ParcelEntry implements OutboxEntry {
  readonly draft: MessageDraft;
  readonly topic: Uint8Array;
  readonly queueId: number;
  readonly from: number | undefined;
  readonly #parcel: Parcel;
  readonly #at: number;

  constructor(parcel: Parcel, at: number, draft: MessageDraft, topic: Uint8Array, queueId: number, from: number | undefined) {
    this.#parcel = parcel;
    this.#at = at;
    this.draft = draft;
    this.topic = topic;
    this.queueId = queueId;
    this.from = from;
  }

  stored(queueOffset: number, position: number, unflushed: boolean, queueId: number, due: number | null): void {
    this.#parcel.stored(this.#at, queueOffset, position, unflushed, queueId, due);
  }

  refused(error: MQError): void {
    this.#parcel.refused(this.#at, error);
  }
}
