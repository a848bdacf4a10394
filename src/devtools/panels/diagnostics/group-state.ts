import { type Admin, type GroupInfo, MQError, type TopicConfig } from "../../../index.ts";
import { groupsWithLetters } from "../../topic-kind.ts";
import { SYSTEM_GROUP_PREFIX } from "../map/names.ts";

/** What is known of a consumer group, and how its backlog has moved. */
export interface GroupState {
  group: string;
  consumers: number;
  /** Whether it is given anything. */
  isEnabled: boolean;
  lag: number;
  consumeTps: number;
  /** For how long its lag has been watched, ms, and what it was then. */
  watched: number;
  lagBefore: number;
  /** That were not sent again; of more than are counted, those. */
  deadLetters: number;
  hasMoreDeadLetters: boolean;
}

/** Dead letters that are counted of one group, and groups of which they are: bodies come with them. */
const MOST_LETTERS = 50;
const MOST_LETTER_GROUPS = 20;
/** From one count to the next, ms. */
const COUNT_EVERY = 10_000;
/** Questions on their way at a time. */
const AT_ONCE = 8;
/** How far back a lag is compared, ms. */
const WINDOW = 60_000;

interface Sample {
  at: number;
  lag: number;
}

/** Asks how all groups are, and remembers how they were. */
export class GroupWatch {
  #samples = new Map<string, Sample[]>();
  #letters: ReadonlyMap<string, number> = new Map();
  #countedAt = Number.NEGATIVE_INFINITY;

  async ask(admin: Admin, now = performance.now()): Promise<GroupState[]> {
    const [all, topics] = await Promise.all([admin.groups(), admin.topics()]);
    // The broker's own are behind as long as a timer waits: that is their work.
    const groups = all.filter(({ group }) => !group.startsWith(SYSTEM_GROUP_PREFIX));
    if (now - this.#countedAt >= COUNT_EVERY) [this.#letters, this.#countedAt] = [await lettersOf(admin, topics), now];
    const letters = this.#letters;
    const samples = new Map<string, Sample[]>();
    const states = await inTurn(groups, async (info) => {
      const { diffTotal: lag, consumeTps } = await admin.consumeStats(info.group);
      const before = [...(this.#samples.get(info.group) ?? []).filter(({ at }) => now - at <= WINDOW), { at: now, lag }];
      samples.set(info.group, before);
      return stateOf(info, lag, consumeTps, before, letters.get(info.group));
    });
    // Groups that are gone are forgotten.
    this.#samples = samples;
    return states;
  }
}

function stateOf({ group, consumers, config }: GroupInfo, lag: number, consumeTps: number, samples: Sample[], letters = 0): GroupState {
  const [first] = samples;
  return {
    group, consumers, isEnabled: config?.consumeEnable !== false, lag, consumeTps,
    watched: samples.at(-1)!.at - first!.at, lagBefore: first!.lag,
    deadLetters: Math.min(letters, MOST_LETTERS), hasMoreDeadLetters: letters > MOST_LETTERS,
  };
}

/** Dead letters by group. */
async function lettersOf(admin: Admin, topics: readonly TopicConfig[]): Promise<Map<string, number>> {
  const groups = groupsWithLetters(topics);
  const counts = await inTurn(groups.slice(0, MOST_LETTER_GROUPS), async (group) => [group, (await admin.deadLetters(group, { max: MOST_LETTERS + 1 })).length] as const);
  return new Map(counts);
}

/** A few at a time; what was deleted meanwhile is left out. */
async function inTurn<Item, Result>(items: readonly Item[], ask: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  const rest = items.values();
  const work = async (): Promise<void> => {
    for (const item of rest) {
      try {
        results.push(await ask(item));
      } catch (error) {
        if (!(error instanceof MQError && error.code.endsWith("NOT_EXIST"))) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}
