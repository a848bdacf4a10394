import type { ConsumeResult, PushConsumerOptions } from "../../src/index.ts";
import type { Chronicle, Death, Progress, Touch } from "./chronicle.ts";
import type { Acked } from "./history.ts";
import { type House, type Tab, type TabConnect, until } from "./house.ts";

/** The group whose listeners run many at a time, and the one that has them one after the other in each queue. */
export const GROUPS = ["clustering", "orderly"] as const;
export const QUEUES = 8;
const SEATS = 3;
/** Between two messages to one queue, ms. */
const PAUSE = 40;

export interface CrewOptions {
  seats?: number;
  connect?: TabConnect;
  /** Of every tab's consumers, and of those of single seats besides. */
  consumers?: Partial<PushConsumerOptions>;
  seated?: Partial<PushConsumerOptions>[];
}

/** Listeners that do not come back. */
export interface Hold {
  /** For so many messages of each group; default all. */
  count?: number;
  /** Not for ever: until a post to /hold is answered. Then they say so. */
  answer?: "CONSUME_SUCCESS" | "RECONSUME_LATER";
}

/** One tab sends steadily to all queues of a topic; in each of the others is a consumer of both groups, whose listeners tell the chronicle. */
export class Crew {
  readonly seats: Tab[] = [];
  readonly lives: string[] = [];
  host!: Tab;
  readonly #house: House;
  readonly #chronicle: Chronicle;
  readonly topic: string;
  readonly #options: CrewOptions;

  private constructor(house: House, chronicle: Chronicle, topic: string, options: CrewOptions) {
    this.#house = house;
    this.#chronicle = chronicle;
    this.topic = topic;
    this.#options = options;
  }

  /** `topic`: also the namespace. */
  static async open(house: House, chronicle: Chronicle, topic: string, options: CrewOptions = {}): Promise<Crew> {
    const crew = new Crew(house, chronicle, topic, options);
    chronicle.topic = topic;
    crew.host = await house.tab();
    await crew.host.connect({ ...options.connect, namespace: topic, clientId: "host" });
    await crew.host.createTopic(topic, QUEUES);
    await Promise.all(Array.from({ length: options.seats ?? SEATS }, (_, seat) => crew.hire(seat)));
    await crew.spread();
    await crew.#send();
    return crew;
  }

  get acked(): Acked[] {
    return this.#house.history.acked.filter(({ topic }) => topic === this.topic);
  }

  /** Begins a tab's next life, in this page or a new one. */
  async hire(seat: number, page?: Tab): Promise<Tab> {
    const tab = (this.seats[seat] = page ?? (await this.#house.tab()));
    const before = this.lives[seat];
    const life = (this.lives[seat] = `tab ${seat}, life ${before === undefined ? 1 : Number(before.split(" ").at(-1)) + 1}`);
    await tab.connect({ ...this.#options.connect, namespace: this.topic, clientId: life.replaceAll(/, | /g, "-") });
    await consume(tab, life, this.topic, { ...this.#options.consumers, ...this.#options.seated?.[seat] });
    return tab;
  }

  /** Resolves when the queues of both groups are shared by all tabs. */
  async spread(): Promise<void> {
    const least = Math.floor(QUEUES / this.seats.length);
    await until(async () => {
      const shares = (await Promise.all(this.seats.map(assignments))).flat();
      return shares.every((queues) => queues >= least) && shares.reduce((sum, queues) => sum + queues, 0) === GROUPS.length * QUEUES;
    });
  }

  /** From now on listeners of this tab do not come back. Resolves when it has messages of both groups in hand. */
  async hold(seat: number, { count = 1_000_000, answer }: Hold = {}): Promise<void> {
    await this.seats[seat]!.run(
      ({ box }, given) => {
        const answered = given.answer === undefined ? new Promise(() => {}) : fetch("/hold", { method: "POST", body: "{}" });
        const left = new Map<string, number>();
        const held: string[] = (box.held = []);
        box.hold = async (group: string, msgId: string): Promise<unknown> => {
          const more = left.get(group) ?? given.count;
          if (more <= 0) return undefined;
          left.set(group, more - 1);
          held.push(`${group} ${msgId}`);
          await answered;
          // What comes after is no affair of this one.
          left.set(group, 0);
          return given.answer;
        };
      },
      { count, answer },
    );
    await until(async () => (await this.held(seat)).every((touches) => touches.length > 0));
  }

  /** By group, what a tab's listeners do not come back with; not what they are just finishing. */
  async held(seat: number): Promise<Touch[][]> {
    const held = new Set(await this.seats[seat]!.run(({ box }) => box.held as string[]));
    return GROUPS.map((group) => this.#chronicle.touches.filter((touch) => touch.life === this.lives[seat] && touch.group === group && touch.attempt === 1 && held.has(`${group} ${touch.msgId}`)));
  }

  /** The tab ends, or is frozen, with messages of both groups in hand. */
  async lose(seat: number, end: (tab: Tab) => Promise<unknown>, hold: Hold = {}): Promise<Death> {
    await this.hold(seat, hold);
    const death = this.#chronicle.dies(this.lives[seat]!, await this.progress());
    await end(this.seats[seat]!);
    return death;
  }

  /** Resolves when others have begun with all that the dead had in hand. */
  inherited(death: Death): Promise<void> {
    return until(() => GROUPS.every((group) => this.#chronicle.redelivery(death, group).isComplete));
  }

  /** The senders stop; resolves when each call is answered, and both groups have done everything. */
  async finish(): Promise<void> {
    await this.host.run(async ({ box }) => {
      box.isOver = true;
      await box.sending;
    });
    const sent = this.acked.map(({ msgId }) => msgId);
    for (const group of GROUPS) {
      await until(() => {
        const done = new Set(this.#chronicle.done(group).map(({ msgId }) => msgId));
        return sent.every((msgId) => done.has(msgId));
      });
      await until(() => this.host.run(async ({ mq }, name) => (await mq.admin.consumeStats(name)).diffTotal === 0, group));
    }
  }

  /** What the consumers of a tab have told of. */
  errors(seat: number): Promise<string[]> {
    return this.seats[seat]!.run(({ box }) => box.errors as string[]);
  }

  /** As the broker knows it. */
  async progress(): Promise<Progress> {
    const { host } = this;
    const ofGroup = (group: string): Promise<Record<number, number>> =>
      host.run(
        async ({ mq }, given) => {
          const { queues } = await mq.admin.consumeStats(given.group);
          return Object.fromEntries(queues.filter(({ topic }) => topic === given.topic).map(({ queueId, consumerOffset }) => [queueId, consumerOffset]));
        },
        { group, topic: this.topic },
      );
    return Object.fromEntries(await Promise.all(GROUPS.map(async (group) => [group, await ofGroup(group)] as const)));
  }

  #send(): Promise<void> {
    return this.host.run(
      ({ producer, report, box }, { topic, queues, pause }) => {
        const work = async (queueId: number): Promise<void> => {
          for (let next = 0; box.isOver !== true; next++) {
            const body = `${queueId}/${next}`;
            try {
              const { msgId, queueOffset } = await producer.send({ topic, body, tags: "t" }, { queue: { topic, brokerName: "broker-a", queueId } });
              await report({ kind: "acked", messages: [{ producer: "host", topic, queueId, queueOffset, msgId, content: `t ${body}` }] });
            } catch (error) {
              const { code, outcome } = error as { code: string; outcome: string };
              await report({ kind: "failed", producer: topic, code, outcome });
            }
            await new Promise((resolve) => setTimeout(resolve, pause));
          }
        };
        box.sending = Promise.all(Array.from({ length: queues }, (_, queueId) => work(queueId)));
      },
      { topic: this.topic, queues: QUEUES, pause: PAUSE },
    );
  }
}

/** How many queues each consumer of a tab has. */
function assignments(tab: Tab): Promise<number[]> {
  return tab.run(({ box }) => (box.consumers as { assignment(): unknown[] }[]).map((consumer) => consumer.assignment().length));
}

function consume(tab: Tab, life: string, topic: string, options: Partial<PushConsumerOptions>): Promise<void> {
  return tab.run(
    async ({ mq, box }, given) => {
      box.errors = [];
      const consumers = given.groups.map(async (group) => {
        const messageListener: Parameters<typeof mq.createPushConsumer>[0]["messageListener"] = async (message, { attempt }): Promise<ConsumeResult> => {
          const { queueId, queueOffset, msgId } = message;
          const tell = async (isOver: boolean): Promise<void> => {
            const touch = { life: given.life, group, topic: given.topic, queueId, queueOffset, msgId, attempt, isOver };
            // A page on its way out has failed at nothing.
            await fetch("/touch", { method: "POST", body: JSON.stringify(touch) }).catch(() => new Promise(() => {}));
          };
          await tell(false);
          const answer = await (box.hold as ((group: string, msgId: string) => Promise<ConsumeResult>) | undefined)?.(group, msgId);
          if (answer !== "RECONSUME_LATER") await tell(true);
          return answer;
        };
        const consumer = await mq.createPushConsumer({
          ...given.options, consumerGroup: group, subscriptions: { [given.topic]: "*" }, consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", orderly: group === "orderly", messageListener,
        });
        consumer.on("error", ({ code }) => void (box.errors as string[]).push(`${group} ${code}`));
        return consumer;
      });
      box.consumers = await Promise.all(consumers);
    },
    { life, topic, groups: [...GROUPS], options },
  );
}
