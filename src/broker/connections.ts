import { RETRY_TOPIC_PREFIX } from "../model/names.ts";
import type { ConsumerConnection, ConsumerConnections, GroupInfo } from "../protocol/api.ts";
import type { Groups } from "./groups.ts";
import type { Member } from "./member.ts";
import type { Offsets } from "./offsets.ts";
import { BROKER_NAME } from "./topics.ts";

/** Tells an operator which groups there are, and who is in them. */
export class Connections {
  readonly #groups: Groups;
  readonly #offsets: Offsets;

  constructor(groups: Groups, offsets: Offsets) {
    this.#groups = groups;
    this.#offsets = offsets;
  }

  /** Those that are there, and those that have been. */
  groups(): GroupInfo[] {
    return this.#groups.names().map((group) => {
      const live = this.#groups.find(group);
      const members = [...(live?.members.values() ?? [])];
      const topics = new Set([...this.#offsets.topicsOf(group), ...members.flatMap((member) => [...member.subscriptions.keys()])]);
      // Who pops shares no queues: how is no question there.
      const terms = live?.bound().find(({ pops }) => pops === null)?.terms;
      return {
        group,
        consumers: members.length,
        ...(terms === undefined ? {} : { messageModel: terms.messageModel, allocateMessageQueueStrategy: terms.strategy }),
        topics: [...topics].filter(isAsked).sort(),
      };
    });
  }

  /** A group that is not known has nobody: an empty answer, not an error. */
  of(group: string): ConsumerConnections {
    const members = [...(this.#groups.find(group)?.members.values() ?? [])];
    return { group, connections: members.sort((a, b) => (a.consumerId < b.consumerId ? -1 : 1)).map((member) => this.#describe(member)) };
  }

  #describe(member: Member): ConsumerConnection {
    const { clientId, consumeType, consumeFromWhere, terms, subscriptions } = member;
    return {
      clientId, consumeType, consumeFromWhere,
      messageModel: terms.messageModel,
      subscriptions: Object.fromEntries([...subscriptions].filter(([topic]) => isAsked(topic)).map(([topic, { text }]) => [topic, text])),
      assignment: this.#groups.assignment(member).map(({ topic, queueId }) => ({ topic, brokerName: BROKER_NAME, queueId })),
    };
  }
}

/** Every group that shares consumes its retry topic besides. */
function isAsked(topic: string): boolean {
  return !topic.startsWith(RETRY_TOPIC_PREFIX);
}
