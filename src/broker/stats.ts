import { SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import { queueKey } from "../model/queue.ts";
import { readInt64, RECORD } from "../model/record.ts";
import { BROKER_ADDRESS } from "../model/record-codec.ts";
import type { BrokerData, BrokerStats, ClusterInfo, ConsumeStats, QueueConsumeStats, QueueStats, TopicRoute, TopicStats } from "../protocol/api.ts";
import type { ConsumeQueueStore } from "../storage/consume-queue-store.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Groups } from "./groups.ts";
import type { Offsets } from "./offsets.ts";
import type { PopLedger } from "./pop-ledger.ts";
import { EVERYTHING, type QueueReader } from "./queue-reader.ts";
import { BROKER_NAME, type Topics } from "./topics.ts";
import type { Traffic } from "./traffic.ts";

export interface StatsServices {
  topics: Topics;
  queues: ConsumeQueueStore;
  offsets: Offsets;
  groups: Groups;
  pops: PopLedger;
  deadLetters: DeadLetters;
  reader: QueueReader;
  traffic: Traffic;
}

/** RocketMQ's default. */
const CLUSTER_NAME = "DefaultCluster";
const BROKER: BrokerData = { cluster: CLUSTER_NAME, brokerName: BROKER_NAME, brokerAddrs: { 0: `127.0.0.1:${BROKER_ADDRESS.port}` } };

/** Answers the questions of an operator. */
export class Stats {
  readonly #services: StatsServices;

  constructor(services: StatsServices) {
    this.#services = services;
  }

  async topic(topic: string): Promise<TopicStats> {
    const { topics, queues } = this.#services;
    const { readQueueNums } = topics.get(topic);
    const rows: QueueStats[] = [];
    for (let queueId = 0; queueId < readQueueNums; queueId++) {
      const { minOffset, maxOffset } = queues.open(topic, queueId);
      const lastUpdate = await this.#storeTime(topic, queueId, maxOffset - 1);
      rows.push({ topic, brokerName: BROKER_NAME, queueId, minOffset, maxOffset, lastUpdate });
    }
    return { topic, queues: rows };
  }

  route(topic: string): TopicRoute {
    const { readQueueNums, writeQueueNums, perm } = this.#services.topics.get(topic);
    return { topic, queueDatas: [{ brokerName: BROKER_NAME, readQueueNums, writeQueueNums, perm }], brokerDatas: [BROKER] };
  }

  /** There is one broker, and it is the master. */
  cluster(): ClusterInfo {
    return { brokerAddrTable: { [BROKER_NAME]: BROKER }, clusterAddrTable: { [CLUSTER_NAME]: [BROKER_NAME] } };
  }

  broker(): Pick<BrokerStats, "brokerName" | "topics" | "groups" | "messages" | "putMessages" | "putBytes" | "getMessages" | "getBytes" | "putTps" | "getTps"> {
    const { topics, groups, queues, traffic: { put, get } } = this.#services;
    let messages = 0;
    for (const queue of queues.all()) messages += queue.backlogFrom(queue.minOffset);
    return {
      brokerName: BROKER_NAME, topics: topics.list().length, groups: groups.names().filter((group) => !group.startsWith(SYSTEM_GROUP_PREFIX)).length, messages,
      putMessages: put.messages, putBytes: put.bytes, getMessages: get.messages, getBytes: get.bytes, putTps: put.perSecond(), getTps: get.perSecond(),
    };
  }

  /** A group that is not known has consumed nothing: an empty answer, not an error. */
  async consume(group: string): Promise<ConsumeStats> {
    const { groups, offsets, topics, deadLetters } = this.#services;
    const live = groups.find(group);
    const names = new Set(offsets.topicsOf(group));
    // Members of a broadcasting group keep their own offsets.
    for (const member of [...(live?.members.values() ?? [])].filter((one) => !one.isBroadcasting)) for (const topic of member.subscriptions.keys()) names.add(topic);
    const rows: QueueConsumeStats[] = [];
    for (const topic of [...names].sort()) {
      const count = topics.find(topic)?.readQueueNums ?? 0;
      for (let queueId = 0; queueId < count; queueId++) rows.push(await this.#queue(group, topic, queueId));
    }
    const diffTotal = rows.reduce((sum, row) => sum + row.diff, 0);
    return { group, queues: rows, diffTotal, consumeTps: live?.rate.perSecond() ?? 0, discarded: deadLetters.discarded(group) };
  }

  async #queue(group: string, topic: string, queueId: number): Promise<QueueConsumeStats> {
    const { groups, offsets, pops, queues } = this.#services;
    const queue = queues.open(topic, queueId);
    const brokerOffset = queue.maxOffset;
    const consumerOffset = Math.max(offsets.get(group, topic, queueId) ?? 0, queue.minOffset);
    const key = queueKey(topic, queueId);
    const live = groups.find(group);
    const owner = live?.owner.get(key) ?? [...(live?.members.values() ?? [])].find(({ picked, held }) => picked !== null && held.has(key));
    const received = owner?.held.get(key)?.nextOffset ?? consumerOffset;
    return {
      topic,
      brokerName: BROKER_NAME,
      queueId,
      brokerOffset,
      consumerOffset,
      diff: queue.backlogFrom(consumerOffset),
      inflight: Math.max(0, received - consumerOffset) + pops.claimed(group, topic, queueId),
      lastTimestamp: await this.#storeTime(topic, queueId, consumerOffset - 1),
      ...(owner === undefined ? {} : { clientId: owner.clientId }),
    };
  }

  /** Store time of the message at an offset, ms; 0 when there is none. */
  async #storeTime(topic: string, queueId: number, offset: number): Promise<number> {
    const queue = this.#services.queues.find(topic, queueId);
    if (queue === undefined || offset < queue.minOffset) return 0;
    if (offset === queue.maxOffset - 1 && queue.lastUpdate > 0) return queue.lastUpdate;
    const { records } = await this.#services.reader.read(queue, offset, EVERYTHING, 1, 1);
    if (records.byteLength === 0) return 0;
    return readInt64(new DataView(records.buffer, records.byteOffset), RECORD.storeTimestamp);
  }
}
