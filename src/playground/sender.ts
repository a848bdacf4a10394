import { signal } from "@preact/signals";
import { checkTopic, type JsonValue, type Message, MQError, type SendResult } from "../index.ts";
import { counted, milliseconds, sentence } from "./format.ts";
import { refreshSoon } from "./lanes.ts";
import { refreshTopics, theProducer } from "./session.ts";
import { announce, selectTopic, topic } from "./state.ts";

export type DraftField = "topic" | "body" | "tags" | "keys" | "messageGroup";

/** What is being written. */
export const draft = {
  topic: signal(topic.peek()),
  kind: signal<"json" | "text">("json"),
  body: signal('{\n  "order": "{n}",\n  "amount": 19.9\n}'),
  tags: signal("created"),
  keys: signal("order-{n}"),
  messageGroup: signal(""),
  count: signal(1),
};

export type Outcome =
  | { state: "none" }
  | { state: "sending"; count: number }
  | { state: "sent"; count: number; tookMs: number; last: SendResult }
  | { state: "failed"; field: DraftField | undefined; sentence: string; stored: number; count: number };

export const outcome = signal<Outcome>({ state: "none" });

/** Sent by this tab so far: what `{n}` stands for. */
let sent = 0;

export async function send(): Promise<void> {
  if (outcome.value.state === "sending") return;
  const count = draft.count.value;
  const started = performance.now();
  try {
    const messages = Array.from({ length: count }, (_, at) => compose(sent + at + 1));
    const { topic: name } = messages[0]!;
    checkTopic(name, "message.topic");
    selectTopic(name);
    outcome.value = { state: "sending", count };
    sent += count;
    const producer = await theProducer();
    const sends = await Promise.allSettled(messages.map((message) => producer.send(message)));
    settle(sends, performance.now() - started);
    void refreshTopics();
    refreshSoon(0);
  } catch (error) {
    fail(error, 0, count);
  }
}

function settle(sends: PromiseSettledResult<SendResult>[], tookMs: number): void {
  const stored = sends.filter((one) => one.status === "fulfilled");
  const refused = sends.find((one) => one.status === "rejected");
  if (refused !== undefined) return fail(refused.reason, stored.length, sends.length);
  outcome.value = { state: "sent", count: sends.length, tookMs, last: stored.at(-1)!.value };
  announce(`${counted(sends.length, "message")} durable after ${milliseconds(tookMs)}.`);
}

function compose(n: number): Message {
  const numbered = (text: string): string => text.replaceAll("{n}", String(n));
  const body = numbered(draft.body.value);
  return {
    topic: draft.topic.value.trim(),
    body: draft.kind.value === "json" ? parse(body) : body,
    ...(draft.tags.value === "" ? {} : { tags: draft.tags.value }),
    ...(draft.keys.value.trim() === "" ? {} : { keys: numbered(draft.keys.value) }),
    ...(draft.messageGroup.value === "" ? {} : { messageGroup: draft.messageGroup.value }),
  };
}

class BodyError extends Error {}

function parse(body: string): JsonValue {
  const problem = jsonProblem(body);
  if (problem !== undefined) throw new BodyError(problem);
  return JSON.parse(body) as JsonValue;
}

/** Why the text is no JSON value that can be sent; undefined when it is one. */
export function jsonProblem(text: string): string | undefined {
  if (text.trim() === "") return "There is nothing to send yet: write a JSON value, or switch to text.";
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return `This is not valid JSON: ${error instanceof Error ? error.message : String(error)}.`;
  }
}

function fail(error: unknown, stored: number, count: number): void {
  const field = error instanceof BodyError ? "body" : error instanceof MQError ? fieldOf(error.field) : undefined;
  const text = error instanceof Error ? sentence(error.message) : String(error);
  outcome.value = { state: "failed", field, sentence: text, stored, count };
}

/** The library names fields as `message.tags`; the broker says `topic`. */
function fieldOf(path: string | undefined): DraftField | undefined {
  const name = path?.split(".").at(-1);
  return (["topic", "body", "tags", "keys", "messageGroup"] as const).find((field) => field === name);
}
