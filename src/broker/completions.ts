import { errorToData, MQError } from "../model/errors.ts";
import type { Completion } from "../model/completion.ts";
import { queueKey } from "../model/queue.ts";
import type { FinishReply, FinishRequest } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { FinishedKeys } from "./finished-keys.ts";
import type { Groups } from "./groups.ts";
import type { Member } from "./member.ts";
import type { Aimed, Mover } from "./mover.ts";
import type { Offsets } from "./offsets.ts";
import type { SendService } from "./send.ts";

/**
 * Consume, transform, produce, exactly once: what a listener has sent through its context is stored in the transaction that
 * finishes the messages it was given, both or neither. The first record that it has sent names them, as a copy names the
 * message whose place it takes; so the log has both, and after a crash recovery reads both.
 */
export class Completions {
  readonly #services: { groups: Groups; offsets: Offsets; queues: ConsumeQueueStore; finished: FinishedKeys; mover: Mover; send: SendService };

  constructor(services: { groups: Groups; offsets: Offsets; queues: ConsumeQueueStore; finished: FinishedKeys; mover: Mover; send: SendService }) {
    this.#services = services;
  }

  /** Answers when it is durable. The same call again stores nothing twice: what is finished is answered as such. */
  async finish(member: Member, request: FinishRequest): Promise<FinishReply> {
    const { groups, mover, send } = this.#services;
    const { topic, queueId, queueOffsets, frame } = request;
    const { group, terms } = member;
    const keys = terms.idempotenceWindow === 0 ? [] : (request.keys ?? []);
    const completion: Completion = { group: group.name, topic, queueId, queueOffsets, keys, window: keys.length === 0 ? 0 : terms.idempotenceWindow };
    groups.checkSettles(member, request);
    this.#checkOffsets(request);
    let sent: Aimed[] = [];
    const isDone = await mover.complete(completion, () => {
      // It may have lost the queue while an earlier call was on its way.
      groups.checkSettles(member, request);
      return (sent = send.aimAll(frame));
    }, (position) => {
      this.take(completion, position);
      member.traffic.put(sent.length, sent.reduce((sum, { source }) => sum + source.bytes.byteLength, 0), sent.map(({ source }) => source.topic));
    });
    if (isDone.every(Boolean)) return { refused: [] };
    // What was sent with some of them must not be sent for the others.
    const error = errorToData(new MQError("STALE_GENERATION", "Other messages of this batch were finished before; what was sent for all of them was not stored."));
    return { refused: queueOffsets.filter((_, at) => !isDone[at]).map((queueOffset) => ({ queueOffset, error })) };
  }

  /** Nobody has consumed what does not exist. */
  #checkOffsets({ topic, queueId, queueOffsets }: FinishRequest): void {
    const maxOffset = this.#services.queues.find(topic, queueId)?.maxOffset ?? 0;
    if (queueOffsets.length > 0 && queueOffsets.every((queueOffset) => queueOffset < maxOffset)) return;
    throw new MQError("INVALID_PARAMETER", `Only messages that there are can be finished, and at least one: ${queueKey(topic, queueId)} ends at ${maxOffset}.`, { field: "finish.queueOffsets" });
  }

  /** The record at `position` says so; call it when that is durable. */
  take(completion: Completion, position: number): void {
    const { offsets, finished } = this.#services;
    const { group, keys, window } = completion;
    if (offsets.finishAll(completion, position) && keys.length > 0) finished.add(group, keys, window);
  }
}
