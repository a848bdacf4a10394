import { MQError } from "../model/errors.ts";
import { deadLetterTopic, DLQ_TOPIC_PREFIX, retryTopic, RETRY_TOPIC_PREFIX } from "../model/names.ts";
import { isSystemTopic, SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import { sleep, type Timers } from "../platform/timers.ts";
import type { DeleteGroupRequest, Deleted } from "../protocol/api.ts";
import type { BlockStore } from "../storage/block-store.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { Deletions } from "../storage/deletions.ts";
import type { DurableState } from "../storage/durable-state.ts";
import type { FinishedKeys } from "./finished-keys.ts";
import type { GroupConfigs } from "./group-configs.ts";
import type { Groups } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import type { PopLedger } from "./pop-ledger.ts";
import type { Topics } from "./topics.ts";

/** Pages that go in one transaction: a commit waits for one of them at most. */
const STEP_PAGES = 32;
/** Steps for one queue. With more pages than these take, it began far up, behind a loss or an import, and most of them have never been. */
const MAX_STEPS_PER_QUEUE = 1024;
/** How soon what could not be removed is tried again, ms. */
const RETRY_DELAY = 200;
/** Members that a refusal names. */
const MOST_NAMED = 5;

export interface RemovalServices {
  store: BlockStore;
  epoch: number;
  log: CommitLog;
  state: DurableState;
  deletions: Deletions;
  queues: ConsumeQueueStore;
  topics: Topics;
  offsets: Offsets;
  groups: Groups;
  configs: GroupConfigs;
  finished: FinishedKeys;
  pops: PopLedger;
  timers: Timers;
}

/**
 * Deletes topics and groups with all that hangs on them. Everything is changed in one task and so written in one transaction:
 * a crash finds it as it was, or gone. The records stay in the log until retention removes their blocks; that nobody
 * is shown them is the business of Deletions. Pages of queues go afterwards, in small steps.
 */
export class Removals {
  readonly #services: RemovalServices;
  #isStopped = false;

  constructor(services: RemovalServices) {
    this.#services = services;
  }

  /** Call when the log is recovered: an earlier broker may not have come to the end of it. */
  start(): void {
    for (const topic of this.#services.deletions.names()) void this.#sweep(topic);
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Answers when it is durable, with how many messages nobody can read any more. May be repeated. */
  async deleteTopic(topic: string): Promise<Deleted> {
    const { topics, deletions, groups } = this.#services;
    if (topic.startsWith(RETRY_TOPIC_PREFIX) || topic.startsWith(DLQ_TOPIC_PREFIX)) throw new MQError("NO_PERMISSION", `"${topic}" belongs to its consumer group, and goes when that is deleted.`, { field: "topic" });
    if (isSystemTopic(topic)) throw new MQError("NO_PERMISSION", `"${topic}" is a system topic.`, { field: "topic" });
    if (topics.find(topic) === undefined) {
      if (deletions.wasTopic(topic)) return { messages: 0 };
      throw new MQError("TOPIC_NOT_EXIST", `There is no topic "${topic}".`, { field: "topic" });
    }
    this.#checkRoom([topic]);
    const messages = this.#drop(topic);
    groups.topicDeleted(topic, new MQError("TOPIC_NOT_EXIST", `The topic "${topic}" was deleted.`, { field: "topic" }));
    await this.#durable([topic]);
    return { messages };
  }

  /** The same, of a group: its offsets, its retries and dead letters, its finished keys and claims. Who is in it has to go. */
  async deleteGroup({ group, force }: DeleteGroupRequest): Promise<Deleted> {
    const { topics, deletions, groups, offsets, configs, finished, pops } = this.#services;
    if (group.startsWith(SYSTEM_GROUP_PREFIX)) throw new MQError("NO_PERMISSION", `Groups that begin with ${SYSTEM_GROUP_PREFIX} are the broker's own.`, { field: "group" });
    const own = [retryTopic(group), deadLetterTopic(group)];
    if (!groups.names().includes(group) && own.every((topic) => topics.find(topic) === undefined)) {
      if (deletions.wasGroup(group)) return { messages: 0 };
      throw new MQError("SUBSCRIPTION_GROUP_NOT_EXIST", `There is no consumer group "${group}".`, { field: "group" });
    }
    const members = [...(groups.find(group)?.members.values() ?? [])];
    if (members.length > 0 && !force) {
      const clients = [...new Set(members.map(({ clientId }) => `"${clientId}"`))];
      const named = clients.length > MOST_NAMED ? `${clients.slice(0, MOST_NAMED).join(", ")} and ${clients.length - MOST_NAMED} more` : clients.join(", ");
      throw new MQError("ILLEGAL_OPERATION", `Group "${group}" has consumers, of client ${named}. Shut them down first, or delete it by force.`, { field: "group" });
    }
    this.#checkRoom(own);
    groups.dissolve(group, new MQError("SUBSCRIPTION_GROUP_NOT_EXIST", `The consumer group "${group}" was deleted.`, { field: "group" }));
    pops.forgetGroup(group);
    for (const topic of offsets.everyTopicOf(group)) offsets.forget(group, topic);
    finished.forget(group);
    configs.remove(group);
    const messages = own.reduce((sum, topic) => sum + this.#drop(topic), 0);
    for (const topic of own) groups.topicDeleted(topic, new MQError("TOPIC_NOT_EXIST", `The topic "${topic}" was deleted with its group.`, { field: "topic" }));
    await this.#durable(own);
    return { messages };
  }

  /** Queues that the topic is not to have any more. Goes with the next commit; what is in them has been consumed by all. */
  endQueues(topic: string, ended: readonly ConsumeQueue[]): void {
    const { deletions, log, queues, offsets, pops } = this.#services;
    deletions.deleteQueues(topic, ended, log.position);
    for (const queue of ended) {
      queues.remove(queue);
      const begin = deletions.begin(queue);
      for (const group of offsets.groupsAt(topic)) offsets.commit(group, topic, queue.queueId, begin, begin);
      pops.forgetQueue(topic, queue.queueId);
    }
  }

  /** Throws FLOW_CONTROL. */
  #checkRoom(names: readonly string[]): void {
    const { deletions, log, queues } = this.#services;
    deletions.trimmed(log.minPosition);
    queues.firstOffset = Math.max(queues.firstOffset, deletions.floor);
    deletions.checkRoom(names);
  }

  /** No await in here: what is changed in one task is one transaction. Returns how many messages there were. */
  #drop(topic: string): number {
    const { deletions, log, queues, topics, offsets, groups, pops } = this.#services;
    const dropped = [...queues.all()].filter((queue) => queue.topic === topic);
    const messages = dropped.reduce((sum, queue) => sum + queue.backlogFrom(queue.minOffset), 0);
    deletions.deleteTopic(topic, dropped, log.position);
    for (const queue of dropped) queues.remove(queue);
    if (topics.find(topic) !== undefined) topics.remove(topic);
    pops.forgetTopic(topic);
    for (const group of new Set([...offsets.everyGroupAt(topic), ...groups.liveNames()])) offsets.forget(group, topic);
    return messages;
  }

  async #durable(topics: readonly string[]): Promise<void> {
    await this.#services.state.saved();
    for (const topic of topics) void this.#sweep(topic);
  }

  /** The pages of what was deleted: nobody reads them any more, and what comes anew stands in others. */
  async #sweep(topic: string): Promise<void> {
    const { deletions, timers } = this.#services;
    while (!this.#isStopped) {
      const goal = deletions.unswept(topic);
      if (goal === null) return;
      if (await this.#remove(goal.pages)) deletions.swept(topic, goal);
      else await sleep(timers, RETRY_DELAY);
    }
  }

  async #remove(queues: readonly { topic: string; queueId: number; pages: number }[]): Promise<boolean> {
    const { store, epoch, log } = this.#services;
    for (const { topic, queueId, pages } of queues) {
      const step = Math.max(STEP_PAGES, Math.ceil(pages / MAX_STEPS_PER_QUEUE));
      for (let from = 0; from < pages; from += step) {
        const remove = { queue: [{ topic, queueId, pages: [from, Math.min(pages, from + step)] as const }] };
        const outcome = await log.rewrite(() => store.commit({ epoch, remove, log: [], queue: [], state: [], durability: "relaxed" }));
        if (outcome?.status !== "committed" || this.#isStopped) return false;
      }
    }
    return true;
  }
}
