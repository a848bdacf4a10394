import { type Admin, deadLetterTopic } from "../../../index.ts";
import { existing, sum } from "./topic-view.ts";

/** More are not read to be counted. */
const MOST_READ = 32;
/** Of letters with so many bytes a count stays good for longer, ms. */
const MANY_BYTES = 2 ** 20;
const GOOD_FOR = 30_000;

/** How many dead letters a group has. The broker tells only what was ever put away: what is left of it has to be read. */
export class LetterCount {
  #last = { about: "", count: 0, until: 0 };

  async count(admin: Admin, group: string): Promise<number> {
    const stats = await existing(admin.topicStats(deadLetterTopic(group)));
    const stored = sum(stats?.queues ?? [], ({ minOffset, maxOffset }) => maxOffset - minOffset);
    if (stored === 0) return 0;
    if (stored > MOST_READ) return stored - (await admin.consumeStats(group)).discarded;
    const about = `${group}\n${JSON.stringify(stats)}`;
    if (this.#last.about === about && performance.now() < this.#last.until) return this.#last.count;
    const letters = await admin.deadLetters(group, { max: MOST_READ });
    const bytes = sum(letters, ({ storeSize }) => storeSize);
    this.#last = { about, count: letters.length, until: bytes > MANY_BYTES ? performance.now() + GOOD_FOR : 0 };
    return letters.length;
  }
}
