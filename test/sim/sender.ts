import type { Producer, SendResult } from "../../src/client/producer.ts";
import type { TabMQ } from "../../src/client/tabmq.ts";
import type { Message } from "../../src/model/message.ts";
import { MAX_IN_FLIGHT_FRAMES } from "../../src/model/limits.ts";
import type { Acked } from "../support/history.ts";
import { GRACE, LIMITS, SEND_TIMEOUT } from "./call-limits.ts";
import type { Prng } from "./prng.ts";
import { bodyOf } from "./records.ts";
import type { Tab } from "./tab.ts";
import type { World } from "./world.ts";

const RESENDS = 3;
/** More than a tab has on its way at once, each in a frame of its own. */
const RUSH = MAX_IN_FLIGHT_FRAMES + 64;

/** Neither batch nor oneway nor of a message group. */
const SINGLE = 0.5;

/** A part of an application that sends: one by one, several at a time, batches; and again, when it does not know. */
export class Sender {
  readonly #world: World;
  readonly #tab: Tab;
  readonly #random: Prng;
  readonly #name: string;

  constructor(world: World, tab: Tab, random: Prng, name: string) {
    this.#world = world;
    this.#tab = tab;
    this.#random = random;
    this.#name = name;
  }

  async run(mq: TabMQ): Promise<void> {
    const producer = await mq.createProducer({ producerGroup: "producers", sendMsgTimeout: SEND_TIMEOUT });
    this.#tab.onRush(() => void this.#hurry(producer));
    while (await this.#tab.mayGoOn()) {
      const kind = this.#random.next();
      // Several in one task, none awaited: their order is what counts.
      const count = kind < 0.2 ? this.#random.integer(2, 12) : 1;
      const sends = Array.from({ length: count }, () => this.#send(producer, kind));
      if (this.#random.chance(0.5)) await Promise.all(sends);
    }
  }

  /** One after the other, none awaited. */
  async #hurry(producer: Producer): Promise<void> {
    for (let sent = 0; sent < RUSH && this.#tab.isAlive && !this.#world.isHealed; sent++) {
      await this.#tab.sleep(1);
      void this.#send(producer, SINGLE);
    }
  }

  async #send(producer: Producer, kind: number): Promise<void> {
    const { plan, trace } = this.#world;
    const name = this.#name;
    const { topic } = this.#random.pick(plan.topics);
    const number = this.#tab.nextNumber();
    const isBatch = kind > 0.9;
    const messageGroup = kind > 0.7 && kind < 0.9 ? `order-${this.#random.integer(1, 3)}` : undefined;
    const contents = Array.from({ length: isBatch ? this.#random.integer(1, 5) : 1 }, (_, i) => `${name}-${number}.${i}`);
    const messages = contents.map((content): Message => {
      const tags = this.#random.pick(["a", "b", "c"]);
      const body = bodyOf(content, this.#random.integer(0, this.#random.chance(0.05) ? plan.weight : 100));
      return { topic, body, tags, ...(messageGroup === undefined ? {} : { messageGroup }) };
    });
    const named = messages.map((message, i) => `${message.tags} ${contents[i]}`);
    const given = isBatch ? messages : messages[0]!;
    let sentAs = number;
    for (let tries = 0; tries < RESENDS; tries++) {
      const call = this.#world.nextCall();
      trace.add({ type: "sent", call, tab: this.#tab.agent.name, producer: name, topic, number: sentAs, contents: named, again: tries > 0 });
      if (kind > 0.65 && kind < 0.7) {
        // Nobody hears of a oneway message's end; it must not throw because the broker is away.
        await this.#tab.track(call, "sendOneway", GRACE, () => producer.sendOneway(messages[0]!), () => {});
        return;
      }
      let isUnknown = false;
      const result = await this.#tab.track(call, "send", LIMITS.send, () => producer.send(given), ({ outcome }) => (isUnknown = outcome === "unknown"));
      // FLUSH_DISK_TIMEOUT is no promise.
      if (result?.sendStatus === "SEND_OK") trace.add({ type: "acked", call, messages: acked(result, named, name, sentAs) });
      if (!isUnknown || !this.#tab.isAlive || this.#random.chance(0.3)) return;
      sentAs = this.#tab.nextNumber();
    }
  }
}

function acked(result: SendResult, contents: string[], producer: string, number: number): (Acked & { number: number })[] {
  const { msgId, messageQueue: { topic, queueId }, queueOffset } = result;
  return msgId.split(",").map((id, i) => ({
    producer, topic, queueId, queueOffset: queueOffset + i, msgId: id, content: contents[i]!, number: number + i / 1000,
  }));
}
