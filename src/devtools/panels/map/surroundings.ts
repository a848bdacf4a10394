import type { Admin, ConsumeStats, ConsumerConnection, GroupInfo } from "../../../index.ts";
import type { LetterCount } from "./letter-count.ts";
import { SCHEDULE_GROUP, SCHEDULE_TOPIC, SYSTEM_GROUP_PREFIX } from "./names.ts";
import { existing, sum } from "./topic-view.ts";

/** Another group that reads the topic too. */
interface OtherGroup {
  group: string;
  consumers: number;
  lag: number;
}

/** What changes less often than the queues do. */
export interface Surroundings {
  /** Consumers of the group that are there. */
  members: ConsumerConnection[];
  others: OtherGroup[];
  /** Further groups of the topic that are not asked about. */
  more: number;
  /** Dead letters of the group that were neither sent again nor discarded; of many, those stored. */
  dead: number;
  /** Messages of all topics that wait by a delay level. */
  delayed: number;
}

/** Each costs a question a round. */
const MOST_GROUPS = 12;

export async function askSurroundings(admin: Admin, letters: LetterCount, topic: string, group: string): Promise<Surroundings> {
  const [all, { connections }, levels, delivered, dead] = await Promise.all([
    admin.groups(), admin.consumerConnections(group), existing(admin.topicStats(SCHEDULE_TOPIC)), admin.consumeStats(SCHEDULE_GROUP), letters.count(admin, group),
  ]);
  const groups = all.filter((one) => one.group !== group && one.topics.includes(topic) && !one.group.startsWith(SYSTEM_GROUP_PREFIX));
  const others = await Promise.all(groups.slice(0, MOST_GROUPS).map((one) => otherGroup(admin, topic, one)));
  return {
    members: connections.filter((one) => topic in one.subscriptions || one.assignment.some((queue) => queue.topic === topic)),
    others,
    more: groups.length - others.length,
    dead,
    delayed: left(levels, delivered),
  };
}

async function otherGroup(admin: Admin, topic: string, { group, consumers }: GroupInfo): Promise<OtherGroup> {
  const { queues } = await admin.consumeStats(group);
  return { group, consumers, lag: sum(queues.filter((row) => row.topic === topic), (row) => row.diff) };
}

/** What is in a topic of the broker's own and was not delivered. */
function left(stats: { topic: string; queues: { queueId: number; minOffset: number; maxOffset: number }[] } | null, delivered: ConsumeStats): number {
  if (stats === null) return 0;
  const rows = new Map(delivered.queues.filter((row) => row.topic === stats.topic).map((row) => [row.queueId, row]));
  return sum(stats.queues, ({ queueId, minOffset, maxOffset }) => maxOffset - Math.max(minOffset, rows.get(queueId)?.consumerOffset ?? minOffset));
}
