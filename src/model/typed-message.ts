import { MQError } from "./errors.ts";
import type { MessageType } from "./message-type.ts";
import { PROPERTY } from "./properties.ts";

const DELAYING = ["DELAY", "TIMER_DELIVER_MS", "TIMER_DELAY_SEC", "TIMER_DELAY_MS"];

/**
 * What type a message is, by its properties; the first that fits: a transaction, delayed, in a group, with a priority.
 * Source: RocketMQ common/attribute/TopicMessageType.java (without lite messages).
 */
export function messageTypeOf(properties: Readonly<Record<string, string>>): Exclude<MessageType, "MIXED"> {
  if (properties.TRAN_MSG === "true") return "TRANSACTION";
  if (DELAYING.some((name) => properties[name] !== undefined)) return "DELAY";
  if (properties[PROPERTY.SHARDING_KEY] !== undefined) return "FIFO";
  if (properties[PROPERTY.PRIORITY] !== undefined) return "PRIORITY";
  return "NORMAL";
}

/** Fields that each make a message a type of its own, and what RocketMQ 5's builder calls them. */
const EXCLUSIVE: Readonly<Record<string, string>> = {
  messageGroup: "messageGroup",
  deliverAfter: "deliveryTimestamp",
  deliverAt: "deliveryTimestamp",
  deliveryTimestamp: "deliveryTimestamp",
  priority: "priority",
  liteTopic: "liteTopic",
};

/**
 * A message has at most one of messageGroup, an exact time and a priority, and in a transaction none.
 * Source: rocketmq-clients, java MessageBuilderImpl and PublishingMessageImpl.
 * @throws MQError MESSAGE_ILLEGAL with `field`
 */
export function checkExclusive(fields: readonly string[], isTransaction: boolean): void {
  const [first, ...others] = fields.filter((field) => Object.hasOwn(EXCLUSIVE, field));
  if (first === undefined) return;
  if (isTransaction) throw new MQError("MESSAGE_ILLEGAL", `A message of a transaction has no ${first}.`, { field: `message.${first}` });
  // Two ways to say when are the delay's to judge.
  const other = others.find((field) => EXCLUSIVE[field] !== EXCLUSIVE[first]);
  if (other !== undefined) throw new MQError("MESSAGE_ILLEGAL", `A message has either ${first} or ${other}, not both.`, { field: `message.${other}` });
}
