import { MQError } from "./errors.ts";
import type { Message, MessageExt } from "./message.ts";
import { PROPERTY } from "./properties.ts";

/** RocketMQ's default; there is one here. */
const CLUSTER_NAME = "DefaultCluster";

/** RocketMQ: MixAll.getReplyTopic. */
function replyTopic(cluster: string): string {
  return `${cluster}_REPLY_TOPIC`;
}

/** What a message says besides, by the names that RocketMQ's clients read. */
export type SystemProperties = readonly (readonly [name: string, value: string])[];

/** Of a request: which one it is, and who waits for its reply, how long. */
export function requestProperties(request: { correlationId: string; clientId: string; timeout: number }): SystemProperties {
  return [
    [PROPERTY.CORRELATION_ID, request.correlationId],
    [PROPERTY.REPLY_TO_CLIENT, request.clientId],
    [PROPERTY.TTL, String(request.timeout)],
    [PROPERTY.CLUSTER, CLUSTER_NAME],
  ];
}

/** A reply, for a producer to send. Made by `createReplyMessage`. */
export interface ReplyMessage {
  topic: string;
  body: Message["body"];
  /** MSG_TYPE, CORRELATION_ID, REPLY_TO_CLIENT and TTL. */
  properties: Record<string, string>;
}

/**
 * The reply to a request that was received, as RocketMQ's MessageUtil makes it; `producer.reply` sends it.
 * @throws MQError INVALID_PARAMETER for what is no request
 */
export function createReplyMessage(request: Pick<MessageExt, "properties">, body: Message["body"]): ReplyMessage {
  const given: unknown = (request as Partial<MessageExt> | null | undefined)?.properties;
  if (typeof given !== "object" || given === null) throw new MQError("INVALID_PARAMETER", "request is no message that was received.", { field: "request" });
  const find = (name: string): string => {
    const value: unknown = Object.hasOwn(given, name) ? (given as Record<string, unknown>)[name] : undefined;
    if (typeof value === "string" && value !== "") return value;
    throw new MQError("INVALID_PARAMETER", `The message was not sent by producer.request, so nobody waits for a reply: it has no property ${name}.`, { field: "request" });
  };
  const cluster = find(PROPERTY.CLUSTER);
  const copied = [PROPERTY.CORRELATION_ID, PROPERTY.REPLY_TO_CLIENT, PROPERTY.TTL].map((name) => [name, find(name)] as const);
  return { topic: replyTopic(cluster), body, properties: Object.fromEntries([[PROPERTY.MSG_TYPE, "reply"], ...copied]) };
}
