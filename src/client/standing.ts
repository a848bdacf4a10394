import { type AllocateFunction, type AllocateStrategyName, STRATEGIES } from "../model/allocation.ts";
import type { MessageModel } from "../model/consume-result.ts";
import { MQError } from "../model/errors.ts";
import { MAX_HELD_QUEUES } from "../model/limits.ts";
import type { MessageQueue } from "../model/queue.ts";
import type { Allocation, ConsumeType, JoinRequest } from "../protocol/api.ts";
import { type Check, list, oneOf, record } from "../protocol/validate.ts";
import { BroadcastOffsets } from "./broadcast-offsets.ts";
import type { Connection } from "./connection.ts";
import { queueRef } from "./queue-ref.ts";

/** CONFIG needs to know what each consumer gets; the others need nothing, because all tabs are in one room with the broker. */
export type AllocateStrategy = Exclude<AllocateStrategyName, "CONFIG"> | { strategy: "CONFIG"; messageQueueList: MessageQueue[] } | AllocateFunction;

/** What a consumer asks of its group. The same for all members, but for the list of CONFIG and the function. */
export interface StandingOptions {
  /**
   * How the group shares its queues. Default AVG. A function is called in one tab of the group, its leader, once for
   * each topic and member; it must answer at once, and may leave queues out, which nobody has then.
   */
  allocateMessageQueueStrategy?: AllocateStrategy;
  /** The group's subscriptions become this consumer's. Members with others are told by an `error` event, and lose their queues. Default false: this consumer is refused. */
  replaceSubscription?: boolean;
}

const configured = record({ strategy: oneOf("CONFIG"), messageQueueList: list((value) => value as MessageQueue, MAX_HELD_QUEUES) });

export function allocateStrategy(value: unknown, field: string): AllocateStrategy {
  if (typeof value === "function") return value as AllocateFunction;
  if (typeof value === "object") return configured(value, field);
  const name = (oneOf(...STRATEGIES) as Check<AllocateStrategyName>)(value, field);
  if (name !== "CONFIG") return name;
  throw new MQError("INVALID_PARAMETER", `${field}: CONFIG needs the queues of this consumer: { strategy: "CONFIG", messageQueueList }.`, { field });
}

/** What a consumer is to its group, beyond its subscriptions. */
export interface Standing {
  consumeType: ConsumeType;
  allocation: Allocation;
  /** To be called when this consumer is its group's leader. */
  allocate: AllocateFunction | null;
  replaceSubscription: boolean;
  /** Null = it has no listener. */
  orderly: boolean | null;
  /** ms; null = not idempotent. */
  idempotenceWindow: number | null;
  /** Kept by the consumer itself when it is broadcasting. */
  broadcast: BroadcastOffsets | null;
}

export function standingOf(
  connection: Connection,
  { consumerGroup, messageModel = "CLUSTERING", allocateMessageQueueStrategy: given = "AVG", replaceSubscription = false }: StandingOptions & { consumerGroup: string; messageModel?: MessageModel },
  consumeType: ConsumeType,
  { orderly = null, idempotenceWindow = null }: Partial<Pick<Standing, "orderly" | "idempotenceWindow">> = {},
): Standing {
  const isList = typeof given === "object";
  const queues = isList ? given.messageQueueList.map((queue, at) => queueRef(queue, `allocateMessageQueueStrategy.messageQueueList[${at}]`, connection.serving.brokerName)) : [];
  return {
    consumeType,
    allocation: typeof given === "function" ? { strategy: "FUNCTION" } : isList ? { strategy: "CONFIG", queues } : { strategy: given },
    allocate: typeof given === "function" ? given : null,
    replaceSubscription,
    orderly,
    idempotenceWindow,
    broadcast: messageModel === "BROADCASTING" ? new BroadcastOffsets(connection, consumerGroup) : null,
  };
}

/** How it says so when it joins, for the first time or again. */
export function joinTerms({ consumeType, allocation, replaceSubscription, orderly, idempotenceWindow, broadcast }: Standing, termsVersion: number | null): Partial<JoinRequest> {
  return {
    consumeType,
    allocation,
    ...(orderly === null ? {} : { orderly }),
    ...(idempotenceWindow === null ? {} : { idempotenceWindow }),
    // Once: whoever comes back after a newer one has replaced it must not turn the group round again.
    ...(termsVersion === null ? { replaceSubscription } : { termsVersion }),
    ...(broadcast === null ? {} : { broadcast: broadcast.progress() }),
  };
}
