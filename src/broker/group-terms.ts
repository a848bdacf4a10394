import type { MessageModel } from "../model/consume-result.ts";
import { MQError } from "../model/errors.ts";
import { RETRY_TOPIC_PREFIX } from "../model/names.ts";
import type { Allocation } from "../protocol/api.ts";
import type { Subscription } from "./subscription.ts";

/** What all members of a group have in common. */
export interface GroupTerms {
  messageModel: MessageModel;
  strategy: Allocation["strategy"];
  /** topic -> filter */
  subscriptions: ReadonlyMap<string, Subscription>;
  /** Whether its listeners work in order; null = it has none, and goes with both. */
  orderly: boolean | null;
  /** How long finished keys are remembered, ms; 0 = they are not. */
  idempotenceWindow: number;
}

/** Why a member with `ours` does not fit into a group with `theirs`; null when it does. */
export function misfit(group: string, theirs: GroupTerms, ours: GroupTerms): MQError | null {
  const differ = (field: string, what: string, [has, asks]: [string, string]): MQError | null => {
    if (has === asks) return null;
    const message = `All members of a group need the same ${what}. Group "${group}" has ${has}; this consumer asks for ${asks}.`;
    return new MQError("SUBSCRIPTION_INCONSISTENT", message, { field });
  };
  return (
    differ("messageModel", "messageModel", [theirs.messageModel, ours.messageModel]) ??
    differ("allocateMessageQueueStrategy", "allocateMessageQueueStrategy", [theirs.strategy, ours.strategy]) ??
    (theirs.orderly === null || ours.orderly === null ? null : differ("orderly", "kind of listener", [kindOf(theirs.orderly), kindOf(ours.orderly)])) ??
    differ("idempotent", "idempotence", [windowOf(theirs), windowOf(ours)]) ??
    differ("subscriptions", "subscriptions", [describe(theirs.subscriptions), describe(ours.subscriptions)])
  );
}

/** Why a member that others have taken its group from gets nothing more. */
export function displacement(group: string): MQError {
  return new MQError("SUBSCRIPTION_INCONSISTENT", `Group "${group}" goes on under other terms, without this consumer.`, { field: "subscriptions" });
}

function kindOf(orderly: boolean): string {
  return orderly ? "orderly listeners" : "concurrent listeners";
}

function windowOf({ idempotenceWindow }: GroupTerms): string {
  return idempotenceWindow === 0 ? "none" : `a window of ${idempotenceWindow} ms`;
}

/** What the application has asked for: `orders "created || paid", stock SQL92 "price > 5"`. Equal texts mean equal subscriptions. */
function describe(subscriptions: GroupTerms["subscriptions"]): string {
  const parts = [...subscriptions].filter(([topic]) => !topic.startsWith(RETRY_TOPIC_PREFIX)).map(([topic, { description }]) => `${topic} ${description}`);
  return parts.sort().join(", ");
}
