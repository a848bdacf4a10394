/** `CLUSTERING`: each message to one member of the group. `BROADCASTING`: to every member. */
export type MessageModel = "CLUSTERING" | "BROADCASTING";

/** What became of a batch that listeners work on at the same time; numbers are places in the batch. */
export interface ConcurrentResult {
  consumed: number[];
  /** To be tried again by whoever of the group gets them. */
  sentBack: number[];
  /** Failed, and not tried again: there is nobody else who should have them. */
  dropped: number[];
}

/**
 * `ackIndex`: the last message that was consumed of a batch that was not consumed to its end.
 * Source: RocketMQ client/impl/consumer/ConsumeMessageConcurrentlyService.processConsumeResult.
 */
export function concurrentResult(model: MessageModel, isSuccess: boolean, ackIndex: number, batchSize: number): ConcurrentResult {
  const last = isSuccess ? Math.min(ackIndex, batchSize - 1) : -1;
  const all = Array.from({ length: batchSize }, (_, at) => at);
  const failed = all.slice(last + 1);
  return { consumed: all.slice(0, last + 1), sentBack: model === "CLUSTERING" ? failed : [], dropped: model === "BROADCASTING" ? failed : [] };
}
