import type { Verdict } from "./checkers.ts";
import { type History, type Of, placeOf } from "./history.ts";
import type { Plan } from "./plan.ts";

/**
 * An orderly group begins with a message when all before it in its queue are over: consumed, or a copy of them stands
 * elsewhere. Whatever happens meanwhile: whoever is disturbed may begin again, and may not go on.
 */
export function orderOfQueues(history: History, { groups }: Pick<Plan, "groups">): Verdict[] {
  return groups.filter(({ orderly }) => orderly).flatMap((plan) => orderOfGroup(history, plan));
}

function orderOfGroup(history: History, { group, subscriptions }: Plan["groups"][number]): Verdict[] {
  const verdicts: Verdict[] = [];
  /** queue -> offsets on disk that are not over, and where each stands in the log */
  const waiting = new Map<string, Map<number, number>>();
  const inHand = new Map<number, Of<"delivered">>();
  const queueOf = ({ topic, queueId }: Of<"stored">["record"]): string => `${topic}:${queueId}`;
  for (const entry of history) {
    if (entry.type === "stored") {
      const { record, tags, position, finishes } = entry;
      const expression = subscriptions[record.topic];
      if (expression === "*" || expression?.split(" || ").includes(tags)) {
        const queue = queueOf(record);
        waiting.set(queue, (waiting.get(queue) ?? new Map<number, number>()).set(record.queueOffset, position));
      }
      const [finisher, place = ""] = finishes?.split(" ") ?? [];
      const [topic, queueId, queueOffset] = place.split(":");
      if (finisher === group) waiting.get(`${topic}:${queueId}`)?.delete(Number(queueOffset));
    }
    // What is gone, what the browser has lost and what cannot be read, nobody can be given.
    if (entry.type === "removed" || entry.type === "tail lost") {
      const isGone = (position: number): boolean => (entry.type === "removed" ? position < entry.position : position >= entry.position);
      for (const offsets of waiting.values()) for (const [offset, position] of offsets) if (isGone(position)) offsets.delete(offset);
    }
    if (entry.type === "damaged") {
      for (const place of entry.places) {
        const [topic, queueId, offset] = place.split(":");
        waiting.get(`${topic}:${queueId}`)?.delete(Number(offset));
      }
    }
    if (entry.type === "delivered" && entry.group === group) {
      const { message, batch, consumer, at } = entry;
      inHand.set(entry.delivery, entry);
      const together = new Set([...inHand.values()].filter((other) => batch !== undefined && (other.delivery === batch || other.batch === batch)).map((other) => other.message.queueOffset));
      for (const offset of waiting.get(queueOf(message))?.keys() ?? []) {
        if (offset >= message.queueOffset || together.has(offset)) continue;
        verdicts.push({ kind: "out of order", text: `${consumer} begins ${placeOf(message)} at ${at}, and ${offset} is not over` });
        break;
      }
    }
    if (entry.type === "consumed") {
      const delivered = inHand.get(entry.delivery);
      inHand.delete(entry.delivery);
      if (delivered !== undefined && entry.isOk) waiting.get(queueOf(delivered.message))?.delete(delivered.message.queueOffset);
    }
  }
  return verdicts;
}
