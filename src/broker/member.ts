import { type ErrorData, errorToData, type MQError } from "../model/errors.ts";
import { MAX_UNTOLD_ERRORS } from "../model/limits.ts";
import type { AllocationTask, ConsumeFromWhere, ConsumeType, HeldQueue, QueueRef } from "../protocol/api.ts";
import type { ClientTraffic } from "./client-traffic.ts";
import type { ConsumerGroup } from "./consumer-group.ts";
import type { GroupTerms } from "./group-terms.ts";

interface MemberInit {
  id: string;
  clientId: string;
  traffic: ClientTraffic;
  group: ConsumerGroup;
  terms: GroupTerms;
  picked: readonly QueueRef[] | null;
  pops: Popping | null;
  configured: readonly QueueRef[];
  consumeType: ConsumeType;
  consumeFromWhere: ConsumeFromWhere;
}

/** Of a simple consumer. */
export interface Popping {
  /** Whose its claims are, also after the next broker's start. */
  owner: string;
  maxReconsumeTimes: number;
}

/** One consumer of a group, as the broker knows it. */
export class Member {
  readonly id: string;
  readonly clientId: string;
  /** Its client's. */
  readonly traffic: ClientTraffic;
  /** Its name in the group's sharing. */
  readonly consumerId: string;
  readonly group: ConsumerGroup;
  terms: GroupTerms;
  /** Terms that it has asked for since, and others of the group have not. */
  wish: { number: number; terms: GroupTerms } | null = null;
  /** Number of the wish that its terms come from; 0 = none. */
  granted = 0;
  /** Queues it has picked by itself (`assign`); null = it is bound by the group's terms. */
  picked: readonly QueueRef[] | null;
  /** It holds no queue and asks for messages one by one (a simple consumer). */
  readonly pops: Popping | null;
  /** Strategy CONFIG: the queues that are meant for it. */
  readonly configured: readonly QueueRef[];
  readonly consumeType: ConsumeType;
  readonly consumeFromWhere: ConsumeFromWhere;
  /** BROADCASTING: how far it has come, by queueKey. */
  readonly progress = new Map<string, number>();
  /** The group has other terms now: it gets nothing more, and keeps its queues until it has let go. */
  isDisplaced = false;
  /** Asked of it as the group's leader, and not yet answered. */
  task: AllocationTask | null = null;
  /** Raised whenever what this member may hold changes; a fetch that names an older one is told. */
  generation = 1;
  /** Where each held queue stands, from the last fetch. Key: queueKey. */
  held = new Map<string, HeldQueue>();
  /** Ticks of the expiry timer since the last fetch. */
  silentTicks = 0;
  /** Its reports of finished keys up to this number are durable. */
  keysKept = 0;
  /** Number of the newest fetch: an older one that still waits gives way. */
  fetches = 0;
  readonly #untold: ErrorData[] = [];
  readonly #sleepers = new Set<() => void>();
  readonly #toldFailures = new Set<string>();

  constructor({ id, clientId, traffic, group, terms, picked, pops, configured, consumeType, consumeFromWhere }: MemberInit) {
    this.id = id;
    this.clientId = clientId;
    this.traffic = traffic;
    this.consumerId = group.nameFor(clientId);
    this.group = group;
    this.terms = terms;
    this.picked = picked;
    this.pops = pops;
    this.configured = configured;
    this.consumeType = consumeType;
    this.consumeFromWhere = consumeFromWhere;
  }

  /** topic -> filter */
  get subscriptions(): GroupTerms["subscriptions"] {
    return this.terms.subscriptions;
  }

  get isBroadcasting(): boolean {
    return this.picked === null && this.terms.messageModel === "BROADCASTING";
  }

  /** Filters that have failed since this was asked last. */
  failures(): { topic: string; error: MQError }[] {
    const failures: { topic: string; error: MQError }[] = [];
    for (const [topic, { failure }] of this.subscriptions) {
      if (failure === null || this.#toldFailures.has(topic)) continue;
      this.#toldFailures.add(topic);
      failures.push({ topic, error: failure });
    }
    return failures;
  }

  changed(): void {
    this.generation++;
    this.wake();
  }

  /** The application is to hear this, with the answer to the next fetch. */
  tell(error: MQError): void {
    if (this.#untold.length < MAX_UNTOLD_ERRORS) this.#untold.push(errorToData(error));
    this.changed();
  }

  takeErrors(): ErrorData[] {
    return this.#untold.splice(0);
  }

  /** Makes the fetches that wait look again. */
  wake(): void {
    for (const wake of this.#sleepers) wake();
  }

  /** Resolves at the next `wake`. */
  sleep(): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#sleepers.delete(wake);
        resolve();
      };
      this.#sleepers.add(wake);
    });
  }
}
