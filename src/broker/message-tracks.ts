import { MQError } from "../model/errors.ts";
import { type Finish, finishText } from "../model/finish.ts";
import { tagHash } from "../model/hash.ts";
import { MAX_QUERY_MESSAGES } from "../model/limits.ts";
import { deadLetterTopic, DLQ_TOPIC_PREFIX } from "../model/names.ts";
import { DISCARD_GROUP, DLQ_GROUP, isCopyTopic, SCHEDULE_TOPIC, SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import { PROPERTY } from "../model/properties.ts";
import { readAllStored, type StoredRecord } from "../model/record-copy.ts";
import type { MessageTrack, QueryReply, TrackType } from "../protocol/api.ts";
import type { Groups } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import type { QueryService } from "./query.ts";
import { SCHEDULE_GROUP } from "./schedule.ts";

/** Tells what has become of a message, for each group that has been at its topic. */
export class MessageTracks {
  readonly #services: { groups: Groups; offsets: Offsets; queries: QueryService };

  constructor(services: { groups: Groups; offsets: Offsets; queries: QueryService }) {
    this.#services = services;
  }

  /** @throws MQError NO_MESSAGE: there is none with this id, or no more */
  async of(msgId: string): Promise<MessageTrack[]> {
    const { offsets } = this.#services;
    /** By what each takes the place of. */
    const copies = new Map<string, StoredRecord>();
    let sent: StoredRecord | undefined;
    for await (const record of this.#find(msgId)) {
      const finishes = record.properties[PROPERTY.FINISHES];
      // The newest first: of one that was stored twice, the first counts. What the broker has put here, when its time came, is as if it was sent here.
      if (!isCopyTopic(record.topic)) sent = record;
      else if (finishes !== undefined) copies.set(finishes, record);
    }
    if (sent === undefined) throw new MQError("NO_MESSAGE", `There is no message with the id ${msgId}.`, { field: "msgId" });
    const { topic } = sent;
    const groups = offsets.groupsAt(topic).filter((group) => !group.startsWith(SYSTEM_GROUP_PREFIX));
    return groups.sort().map((group) => ({ group, trackType: this.#track(group, sent, copies) }));
  }

  #track(group: string, sent: StoredRecord, copies: ReadonlyMap<string, StoredRecord>): TrackType {
    // From each place it is moved on at most once, and always to a later one.
    for (let at = sent; ; ) {
      const finish = finishOf(group, at);
      const isWaiting = !this.#services.offsets.isDone(finish);
      if (isWaiting && at.topic === deadLetterTopic(group)) return this.#services.offsets.isDone({ ...finish, group: DISCARD_GROUP }) ? "DISCARDED" : "DEAD";
      if (isWaiting && at !== sent) return "IN_RETRY";
      const next = isWaiting ? undefined : copies.get(finishText(finish));
      if (next !== undefined) {
        at = next;
        continue;
      }
      if (at !== sent) return "CONSUMED";
      const online = this.#takers(group, sent);
      if (online === "refuse it") return "FILTERED";
      if (!isWaiting) return "CONSUMED";
      return online === "none" ? "NOT_ONLINE" : "NOT_CONSUMED_YET";
    }
  }

  /** Consumers at work that would be given it, were it their turn. */
  #takers(group: string, { topic, queueId, properties, bytes }: StoredRecord): "some" | "none" | "refuse it" {
    const members = [...(this.#services.groups.find(group)?.members.values() ?? [])];
    if (members.some(({ picked }) => picked?.some((queue) => queue.topic === topic && queue.queueId === queueId))) return "some";
    const subscription = members.find((member) => (member.picked === null || member.pops !== null) && member.subscriptions.has(topic))?.subscriptions.get(topic);
    if (subscription === undefined) return "none";
    const { codes, matches, failure } = subscription;
    if (failure !== null) return "none";
    const isWanted = (codes === null || codes.includes(tagHash(properties[PROPERTY.TAGS]))) && matches?.(bytes) !== false;
    return isWanted ? "some" : "refuse it";
  }

  async *#find(msgId: string): AsyncGenerator<StoredRecord> {
    for (let before: number | null = null; ; ) {
      const reply: QueryReply = await this.#services.queries.query({ topic: null, key: msgId, max: MAX_QUERY_MESSAGES, begin: 0, end: Number.MAX_SAFE_INTEGER, before });
      yield* readAllStored(reply.records);
      before = reply.next;
      if (before === null) return;
    }
  }
}

/** Whose business it is where it stands. */
function finishOf(group: string, { topic, queueId, queueOffset }: StoredRecord): Finish {
  const keeper = topic === SCHEDULE_TOPIC ? SCHEDULE_GROUP : topic.startsWith(DLQ_TOPIC_PREFIX) ? DLQ_GROUP : group;
  return { group: keeper, topic, queueId, queueOffset };
}
