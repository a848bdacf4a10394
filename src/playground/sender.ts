import { signal } from "@preact/signals";
import { checkTopic, type JsonValue, type Message, MQError, type SendResult } from "../index.ts";
import type { Devtools } from "../devtools/context.ts";
import { reasonOf } from "../devtools/polled.ts";

export type DraftField = "topic" | "body" | "tags" | "keys" | "messageGroup";

export type Outcome =
  | { state: "none" }
  | { state: "sending"; count: number }
  | { state: "sent"; count: number; tookMs: number; last: SendResult }
  | { state: "failed"; field: DraftField | undefined; sentence: string; stored: number; count: number };

/** What is being written, and what became of the last send. */
export class Sender {
  readonly draft = {
    topic: signal(""),
    kind: signal<"json" | "text">("json"),
    body: signal('{ "order": "{n}", "amount": 19.9 }'),
    tags: signal("created"),
    keys: signal("order-{n}"),
    messageGroup: signal(""),
    count: signal(1),
  };
  readonly outcome = signal<Outcome>({ state: "none" });
  /** Given to the producer so far, by topic. */
  readonly sentTo = signal<ReadonlyMap<string, number>>(new Map());
  readonly #devtools: Devtools;
  /** What `{n}` stands for. */
  #number = 0;

  constructor(devtools: Devtools) {
    this.#devtools = devtools;
  }

  /** `select`: the topic that is sent to is to be seen. */
  async send(select: (topic: string) => void): Promise<void> {
    if (this.outcome.value.state === "sending") return;
    const count = this.draft.count.value;
    const started = performance.now();
    try {
      const messages = this.compose(count);
      select(messages[0]!.topic);
      this.outcome.value = { state: "sending", count };
      const sends = await this.give(messages);
      this.#settle(sends, performance.now() - started);
    } catch (error) {
      this.fail(error, 0, count);
    }
  }

  /** So many messages from the draft. @throws when it cannot be sent */
  compose(count: number): Message[] {
    const messages = Array.from({ length: count }, (_, at) => this.#message(this.#number + at + 1));
    checkTopic(messages[0]?.topic, "message.topic");
    return messages;
  }

  async give(messages: readonly Message[]): Promise<PromiseSettledResult<SendResult>[]> {
    const { session } = this.#devtools;
    await session.producer();
    const { topic } = messages[0]!;
    this.#number += messages.length;
    this.#count(topic, messages.length);
    const sends = await Promise.allSettled(messages.map((message) => session.send(message)));
    const refused = sends.filter((one) => one.status === "rejected").length;
    if (refused > 0) this.#count(topic, -refused);
    return sends;
  }

  fail(error: unknown, stored: number, count: number): void {
    const field = error instanceof BodyError ? "body" : error instanceof MQError ? fieldOf(error.field) : undefined;
    this.outcome.value = { state: "failed", field, sentence: error instanceof BodyError ? this.problemOf(this.draft.body.value) ?? "" : reasonOf(error), stored, count };
  }

  /** Why the text is no JSON value that can be sent; undefined when it is one. */
  problemOf(text: string): string | undefined {
    const t = this.#devtools.settings.translate.value;
    if (text.trim() === "") return t("live.json.empty");
    try {
      JSON.parse(text);
      return undefined;
    } catch (error) {
      return t("live.json.wrong", { reason: error instanceof Error ? error.message : String(error) });
    }
  }

  #settle(sends: readonly PromiseSettledResult<SendResult>[], tookMs: number): void {
    const stored = sends.filter((one) => one.status === "fulfilled");
    const refused = sends.find((one) => one.status === "rejected");
    if (refused !== undefined) return this.fail(refused.reason, stored.length, sends.length);
    this.outcome.value = { state: "sent", count: sends.length, tookMs, last: stored.at(-1)!.value };
    const t = this.#devtools.settings.translate.peek();
    this.#devtools.announce(t("live.durable.announce", { count: sends.length, time: t.duration(tookMs) }));
  }

  #message(n: number): Message {
    const { topic, kind, body, tags, keys, messageGroup } = this.draft;
    const numbered = (text: string): string => text.replaceAll("{n}", String(n));
    const text = numbered(body.value);
    return {
      topic: topic.value.trim(),
      body: kind.value === "json" ? parse(text) : text,
      ...(tags.value === "" ? {} : { tags: tags.value }),
      ...(keys.value.trim() === "" ? {} : { keys: numbered(keys.value) }),
      ...(messageGroup.value === "" ? {} : { messageGroup: messageGroup.value }),
    };
  }

  #count(topic: string, change: number): void {
    this.sentTo.value = new Map(this.sentTo.value).set(topic, (this.sentTo.value.get(topic) ?? 0) + change);
  }
}

class BodyError extends Error {}

function parse(body: string): JsonValue {
  try {
    return JSON.parse(body) as JsonValue;
  } catch {
    throw new BodyError();
  }
}

/** The library names fields as `message.tags`; the broker says `topic`. */
function fieldOf(path: string | undefined): DraftField | undefined {
  const name = path?.split(".").at(-1);
  return (["topic", "body", "tags", "keys", "messageGroup"] as const).find((field) => field === name);
}
