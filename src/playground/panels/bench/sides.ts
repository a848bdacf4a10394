import { connect, type Producer, type TabMQ } from "../../../index.ts";
import { Ceiling } from "./ceiling.ts";
import { ceilingOf } from "./own-namespace.ts";
import { browserName, type Both, type Machine } from "./report.ts";

/** Long, because a slow machine shall give slow figures and not errors. */
const PRODUCER = { producerGroup: "bench", sendMsgTimeout: 60_000 };

/** The two things to do, and who does them: a client that sends, another that consumes in the same tab, and the raw writer. */
export class Sides {
  readonly ceiling: Ceiling;
  readonly #mq: TabMQ;
  readonly #other: TabMQ;
  readonly #producer: Producer;
  /** Called when the message of a trip has come. */
  #arrived: () => void = () => {};

  static async open(namespace: string): Promise<Sides> {
    const mq = await connect({ namespace });
    await mq.admin.createTopic({ topic: "trip", readQueueNums: 1, writeQueueNums: 1 });
    const sides = new Sides(namespace, mq, await connect({ namespace }), await mq.createProducer(PRODUCER));
    await sides.#other.createPushConsumer({ consumerGroup: "trip", subscriptions: { trip: "*" }, messageListener: async () => sides.#arrived() });
    return sides;
  }

  private constructor(namespace: string, mq: TabMQ, other: TabMQ, producer: Producer) {
    this.#mq = mq;
    this.#other = other;
    this.#producer = producer;
    this.ceiling = new Ceiling(ceilingOf(namespace));
  }

  async machine(): Promise<Machine> {
    const { durability, broker } = await this.#mq.diagnostics();
    return { tabmq: broker.lib, browser: browserName(navigator.userAgent), userAgent: navigator.userAgent, cores: navigator.hardwareConcurrency, durability, indexer: broker.indexer };
  }

  /** Messages a second: `count` sends in a loop, none awaited before the next, until all are durable. */
  burst(topic: string, count: number, body: (at: number) => Uint8Array): Both<() => Promise<number>> {
    return {
      tabmq: () => rateOf(count, (at) => this.#producer.send({ topic, body: body(at) })),
      ceiling: () => rateOf(count, (at) => this.ceiling.send(body(at))),
    };
  }

  /** Messages a second, from the first to the last: what is stored comes back, to a push consumer, and as bare reads of the same bytes. */
  consume(topic: string, count: number): Both<() => Promise<number>> {
    return {
      tabmq: async () => {
        const { rate, one } = counted(count);
        const consumer = await this.#other.createPushConsumer({
          consumerGroup: topic, subscriptions: { [topic]: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", messageListener: async () => one(),
        });
        const found = await rate;
        await consumer.shutdown();
        return found;
      },
      ceiling: async () => {
        const { rate, one } = counted(count);
        await this.ceiling.readBack(one);
        return rate;
      },
    };
  }

  /** ms, until one message is durable that nothing else goes with. The raw one is timed inside its worker: no message has to cross. */
  lone(body: Uint8Array): Both<() => Promise<number>> {
    return {
      tabmq: () => timeOf(() => this.#producer.send({ topic: "lone", body })),
      ceiling: () => this.ceiling.put(body),
    };
  }

  /** ms, from the call of send until the listener is called, or the stored bytes are back. */
  trip(body: Uint8Array): Both<() => Promise<number>> {
    return {
      tabmq: () =>
        timeOf(
          () =>
            new Promise<void>((resolve, reject) => {
              this.#arrived = resolve;
              this.#producer.send({ topic: "trip", body }).catch(reject);
            }),
        ),
      ceiling: () => timeOf(() => this.ceiling.trip(body)),
    };
  }

  /** Deletes all that was stored. */
  async close(): Promise<void> {
    await Promise.race([this.ceiling.end(), this.ceiling.failed.catch(() => {})]);
    await this.#other.close();
    await this.#mq.admin.destroy();
    await this.#mq.close();
  }
}

async function rateOf(count: number, send: (at: number) => Promise<unknown>): Promise<number> {
  const sent: Promise<unknown>[] = [];
  const began = performance.now();
  for (let at = 0; at < count; at++) sent.push(send(at));
  await Promise.all(sent);
  return (count / (performance.now() - began)) * 1000;
}

/** `one` is called for each message; `rate` resolves at the last. */
function counted(count: number): { rate: Promise<number>; one: () => void } {
  let seen = 0;
  let began = 0;
  let done: (rate: number) => void;
  const rate = new Promise<number>((resolve) => (done = resolve));
  const one = (): void => {
    if (seen === 0) began = performance.now();
    if (++seen === count) done(((count - 1) / (performance.now() - began)) * 1000);
  };
  return { rate, one };
}

async function timeOf(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}
