import { MQError } from "../model/errors.ts";
import { MAX_GROUP_TOPICS } from "../model/limits.ts";
import type { GroupOffsets } from "../protocol/api.ts";
import type { DurableState } from "../storage/durable-state.ts";
import { LOSS_KEY, readLoss } from "../storage/loss.ts";

const PREFIX = "offset/";

/** How far each group has come: for each queue, the offset before which everything is consumed. */
export class Offsets {
  /** group -> topic -> offset by queue id */
  readonly #offsets = new Map<string, Map<string, Record<number, number>>>();
  readonly #state: DurableState;
  /** Groups that consumed here before the browser lost data. */
  #bereft: ReadonlySet<string> = new Set();
  /** Pairs of a group and a topic. */
  #pairs = 0;

  constructor(state: DurableState) {
    this.#state = state;
  }

  restore(): void {
    this.#bereft = new Set(readLoss(this.#state.get(LOSS_KEY))?.groups);
    for (const [key, value] of this.#state.startingWith(PREFIX)) {
      const [group = "", topic = ""] = key.split("/");
      this.#topics(group).set(topic, readOffsets(value));
      this.#pairs++;
    }
  }

  /** Groups are remembered for ever, so there is an end to how many of them there can be. Throws FLOW_CONTROL. */
  checkRoom(group: string, topics: Iterable<string>): void {
    const known = this.#offsets.get(group);
    const more = [...topics].filter((topic) => known?.has(topic) !== true).length;
    if (more > 0 && this.#pairs + more > MAX_GROUP_TOPICS) {
      throw new MQError("FLOW_CONTROL", `The broker keeps the offsets of ${MAX_GROUP_TOPICS} groups and topics already.`, { field: "group" });
    }
  }

  /** undefined = the group has never been at this queue. */
  get(group: string, topic: string, queueId: number): number | undefined {
    return this.#offsets.get(group)?.get(topic)?.[queueId];
  }

  /** The group's offsets may have been lost: for it, new is all that there is, whatever it says it wants to begin with. */
  isBereft(group: string): boolean {
    return this.#bereft.has(group);
  }

  /** The group wants this topic, whatever queues it has or will have. */
  begin(group: string, topic: string): void {
    const topics = this.#topics(group);
    if (topics.has(topic)) return;
    this.#pairs++;
    topics.set(topic, {});
    this.#state.set(`${PREFIX}${group}/${topic}`, {});
  }

  /** `maxOffset` is the queue's end: nobody has consumed what does not exist. */
  commit(group: string, topic: string, queueId: number, offset: number, maxOffset: number): void {
    if (offset > maxOffset) {
      throw new MQError("INVALID_PARAMETER", `Offset ${offset} lies behind the end of ${topic}:${queueId}, which is ${maxOffset}.`, {
        field: "commitOffset",
      });
    }
    const topics = this.#topics(group);
    const queues = topics.get(topic) ?? {};
    if (queues[queueId] === offset) return;
    queues[queueId] = offset;
    topics.set(topic, queues);
    this.#state.set(`${PREFIX}${group}/${topic}`, queues);
  }

  groups(): string[] {
    return [...this.#offsets.keys()];
  }

  topicsOf(group: string): string[] {
    return [...(this.#offsets.get(group)?.keys() ?? [])];
  }

  /** Everything, as an export has it. */
  all(): GroupOffsets[] {
    return [...this.#offsets].flatMap(([group, topics]) =>
      [...topics].map(([topic, offsets]) => ({ group, topic, offsets: Object.entries(offsets).map(([queueId, offset]): [number, number] => [Number(queueId), offset]) })),
    );
  }

  /** Groups that have been at this topic. */
  groupsAt(topic: string): string[] {
    return this.groups().filter((group) => this.#offsets.get(group)?.has(topic));
  }

  #topics(group: string): Map<string, Record<number, number>> {
    let topics = this.#offsets.get(group);
    if (topics === undefined) {
      topics = new Map();
      this.#offsets.set(group, topics);
    }
    return topics;
  }
}

/** What is no offset is left out: the group begins anew there. */
function readOffsets(row: unknown): Record<number, number> {
  if (typeof row !== "object" || row === null) return {};
  return Object.fromEntries(Object.entries(row).filter(([queueId, offset]) => isCount(Number(queueId)) && isCount(offset))) as Record<number, number>;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
