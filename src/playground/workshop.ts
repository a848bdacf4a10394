import { effect, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { TopicConfig } from "../index.ts";
import type { Devtools } from "../devtools/context.ts";
import { live } from "../devtools/i18n/en/live.ts";
import type { PanelDefinition } from "../devtools/panel.ts";
import { ignoreUnlessBug } from "../devtools/session.ts";
import { Consumers } from "./consumers.ts";
import { Feed } from "./feed.ts";
import type { Report } from "./panels/bench/report.ts";
import { Sender } from "./sender.ts";
import { Stream } from "./stream.ts";

export const DEFAULT_TOPIC = "orders";

/** What goes on in one page, whichever panel is looked at: its consumers, what they received, what is sent. */
export class Workshop {
  readonly consumers: Consumers;
  readonly feed: Feed;
  readonly sender: Sender;
  readonly stream: Stream;
  /** What the bench has found last. */
  readonly report = signal<Report | null>(null);
  readonly topics = signal<readonly TopicConfig[]>([]);
  /** What the page's title tells: the topic, and how much of it waits for the group. */
  readonly looked = signal({ topic: "", backlog: 0 });
  readonly #devtools: Devtools;
  readonly #stops: (() => void)[] = [];
  #hasBegun = false;

  readonly #panels: readonly PanelDefinition[];

  /** `entitle`: what the page is to be called. */
  constructor(devtools: Devtools, panels: readonly PanelDefinition[], entitle: (title: string) => void) {
    this.#devtools = devtools;
    this.#panels = panels;
    devtools.settings.learn([live]);
    this.feed = new Feed(devtools);
    this.consumers = new Consumers(devtools, (...receipt) => this.feed.received(...receipt));
    this.sender = new Sender(devtools);
    this.stream = new Stream(devtools, this.sender);
    this.#stops.push(effect(() => entitle(this.#title())));
  }

  /** Every tab begins with a consumer: a second tab shows at once how a group shares queues. */
  begin(topic: string, group: string): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { session } = this.#devtools;
    const stop = session.client.subscribe((client) => {
      if (client === null) return;
      queueMicrotask(() => stop());
      void this.#start(topic, group);
    });
    this.#stops.push(stop);
  }

  async refreshTopics(): Promise<void> {
    const list = await this.#devtools.session.client.peek()?.admin.topics().catch(ignoreUnlessBug);
    if (list !== undefined) this.topics.value = list;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
    this.stream.stop();
    this.consumers.close();
    this.feed.close();
  }

  async #start(topic: string, group: string): Promise<void> {
    await this.refreshTopics();
    // A newcomer sees queues at once; any other topic is made by whoever means it.
    if (this.topics.value.length === 0 && topic === DEFAULT_TOPIC) {
      await this.#devtools.session.mq.admin.createTopic({ topic }).catch(ignoreUnlessBug);
      await this.refreshTopics();
    }
    await this.consumers.start({ topic, group, expression: "*", consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET" });
  }

  #title(): string {
    const t = this.#devtools.settings.translate.value;
    const shown = this.#devtools.router.route.value.panel || this.#panels[0]!.id;
    const panel = this.#panels.find(({ id }) => id === shown);
    if (panel === undefined) return t("live.title");
    const { topic, backlog } = this.looked.value;
    if (shown !== "live" || topic === "") return t("live.title.panel", { panel: t(panel.title) });
    return backlog > 0 ? t("live.title.waiting", { count: backlog, topic }) : t("live.title.received", { count: this.feed.ownCount.value, topic });
  }
}

export const WorkshopContext = createContext<Workshop | null>(null);

export function useWorkshop(): Workshop {
  const workshop = useContext(WorkshopContext);
  if (workshop === null) throw new Error("This component is used outside of the playground.");
  return workshop;
}
