import { RETRY_TOPIC_PREFIX } from "../model/names.ts";
import type { ClientConnection, ConsumerConnection, ConsumerConnections, GroupInfo } from "../protocol/api.ts";
import type { GroupConfigs } from "./group-configs.ts";
import type { Groups } from "./groups.ts";
import type { Member } from "./member.ts";
import type { Offsets } from "./offsets.ts";
import type { Producers } from "./producers.ts";
import type { Session } from "./session.ts";
import { BROKER_NAME } from "./topics.ts";

/** Tells an operator which groups there are, and who is in them. */
export class Connections {
  readonly #groups: Groups;
  readonly #offsets: Offsets;
  readonly #configs: GroupConfigs;

  constructor(groups: Groups, offsets: Offsets, configs: GroupConfigs) {
    this.#configs = configs;
    this.#groups = groups;
    this.#offsets = offsets;
  }

  /** By client id. */
  clients(sessions: Iterable<Session>, producers: Producers): ClientConnection[] {
    const clients = Array.from(sessions, (session): ClientConnection => {
      const { clientId, connectedTimestamp, lastCallTimestamp, traffic } = session;
      const consumerGroups = [...new Set(Array.from(session.members, ({ group }) => group.name))].sort();
      return { clientId, connectedTimestamp, lastCallTimestamp, producerGroups: producers.groupsOf(session).sort(), consumerGroups, ...traffic };
    });
    return clients.sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  }

  /** Those that are there, and those that have been. */
  groups(): GroupInfo[] {
    return this.#groups.names().map((group) => {
      const live = this.#groups.find(group);
      const config = this.#configs.find(group);
      const members = [...(live?.members.values() ?? [])];
      const topics = new Set([...this.#offsets.topicsOf(group), ...members.flatMap((member) => [...member.subscriptions.keys()])]);
      // Who pops shares no queues: how is no question there.
      const terms = live?.bound().find(({ pops }) => pops === null)?.terms;
      return {
        group,
        ...(config !== undefined && { config }),
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
