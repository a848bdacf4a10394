/**
 * A listener that sends one message for each that it gets, through its context, over a store that fails where the plan
 * says: whatever happens, there is one answer for each message in the end, and with it the message is consumed.
 */
import type { ConsumeContext, MessageExt, PushConsumerOptions, TabMQ } from "../../src/index.ts";
import { asMQError } from "../../src/model/errors.ts";
import { FaultyOrigin } from "./faulty-origin.ts";
import type { Fault } from "./faulty-store.ts";

export interface ContextSendRun {
  violations: string[];
  operations: number;
}

export type Kind = "concurrent" | "orderly" | "idempotent";

const KINDS: Record<Kind, Partial<PushConsumerOptions>> = {
  concurrent: { consumeMessageBatchMaxSize: 2 },
  orderly: { orderly: true, suspendCurrentQueueTime: 50 },
  idempotent: { idempotent: { key: (message) => message.text().split(" ")[0]! } },
};
const GROUP = "g";
/** Before the space, the key: an idempotent group answers each once. "fails" means: at the first try. */
const BODIES = ["a 1", "b 2 fails", "c 3", "a 4", "d 5 fails", "e 6", "c 7", "f 8"];

export async function contextSendRun(kind: Kind, faults: Fault[] = []): Promise<ContextSendRun> {
  const run = new Run(kind, faults);
  return run.origin.time.run(run.all());
}

class Run {
  readonly origin: FaultyOrigin;
  readonly #kind: Kind;
  readonly #violations: string[] = [];
  readonly #acked: string[] = [];

  constructor(kind: Kind, faults: Fault[]) {
    this.#kind = kind;
    this.origin = new FaultyOrigin(faults);
  }

  async all(): Promise<ContextSendRun> {
    const operations = await this.origin.run((violation) => void this.#violations.push(violation), async () => {
      await this.#life(true);
      await this.#life(false);
    }, () => this.#verify());
    return { violations: this.#violations, operations };
  }

  /** A browser from its start to its end. The first one sends, and is killed while much is on its way. */
  async #life(isFirst: boolean): Promise<void> {
    const mq = await this.#connect();
    await this.#consume(mq);
    if (isFirst) {
      const producer = await mq.createProducer({ producerGroup: "p" });
      for (const body of BODIES) {
        const sent = await this.#settled(producer.send({ topic: "in", body }));
        if (sent !== undefined) this.#acked.push(body);
      }
      await this.origin.time.sleep(20);
    } else await this.origin.time.sleep(6000);
    this.origin.killAll();
    await this.origin.time.sleep(100);
  }

  async #verify(): Promise<void> {
    const mq = await this.#connect();
    const consumer = await this.#consume(mq);
    for (let tries = 0; (await mq.admin.consumeStats(GROUP)).diffTotal > 0; tries++) {
      if (tries === 60) {
        this.#violations.push("lost: a message is never consumed");
        break;
      }
      await this.origin.time.sleep(500);
    }
    // What failed is on its way through the retry topic.
    await this.origin.time.sleep(2000);
    await consumer?.shutdown();
    await this.#judge(mq);
    await mq.close();
    this.origin.killAll();
  }

  async #judge(mq: TabMQ): Promise<void> {
    const given = new Set((await this.#read(mq, "in")).map((message) => message.text()));
    for (const body of this.#acked) if (!given.has(body)) this.#violations.push(`lost: "${body}" was acknowledged and is not stored`);
    const answers = (await this.#read(mq, "out")).map((message) => message.text());
    const nameOf = (body: string): string => (this.#kind === "idempotent" ? body.split(" ")[0]! : body);
    const named = answers.map(nameOf);
    for (const name of new Set(named)) if (named.indexOf(name) !== named.lastIndexOf(name)) this.#violations.push(`doubled: "${name}" is answered more than once`);
    for (const body of given) if (!named.includes(nameOf(body))) this.#violations.push(`lost: "${body}" is consumed and not answered`);
  }

  async #read(mq: TabMQ, topic: string): Promise<MessageExt[]> {
    const pull = await mq.createPullConsumer({ consumerGroup: "reader" });
    const known = (await mq.admin.topics()).some((config) => config.topic === topic);
    const { messages } = known ? await pull.pull({ topic, brokerName: "broker-a", queueId: 0 }, "*", 0, 1000) : { messages: [] };
    await pull.shutdown();
    return messages;
  }

  async #connect(): Promise<TabMQ> {
    for (let tries = 0; tries < 5; tries++) {
      const mq = await this.#settled(this.origin.connect({ broker: { defaultTopicQueueNums: 1, messageDelayLevel: "1ms 1ms 20ms" } }));
      if (mq !== undefined) return mq;
    }
    throw new Error("no connection");
  }

  async #consume(mq: TabMQ): Promise<{ shutdown(): Promise<void> } | undefined> {
    for (let tries = 0; tries < 5; tries++) {
      const consumer = await this.#settled(
        mq.createPushConsumer({
          consumerGroup: GROUP, subscriptions: { in: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", ...KINDS[this.#kind],
          ...(this.#kind === "concurrent"
            ? { batchListener: (messages, context) => this.#listen(messages, context) }
            : { messageListener: (message, context) => this.#listen([message], context) }),
        }),
      );
      if (consumer !== undefined) return consumer;
    }
    return undefined;
  }

  async #listen(messages: MessageExt[], context: ConsumeContext): Promise<void> {
    for (const message of messages) context.send({ topic: "out", body: message.text() });
    await this.origin.time.sleep(2);
    if (context.attempt === 1 && messages.some((message) => message.text().endsWith("fails"))) throw new Error("not yet");
  }

  async #settled<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      asMQError(error);
      return undefined;
    }
  }
}
