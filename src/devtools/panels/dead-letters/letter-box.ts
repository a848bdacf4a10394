import { type Admin, deadLetterTopic, MQError, retryTopic } from "../../../index.ts";
import { type MessageSummary, summaryOf } from "../../message/summary.ts";

/** A group's dead letters, the oldest first. */
export interface Letters {
  readonly letters: readonly MessageSummary[];
  readonly hasMore: boolean;
  /** Over all time. */
  readonly discarded: number;
}

/** Names the first letters of a group. They come with their bodies, so they are only read again when something has changed. */
export class LetterBox {
  readonly group: string;
  #mark = "";
  #known: Letters = { letters: [], hasMore: false, discarded: 0 };

  constructor(group: string) {
    this.group = group;
  }

  /** Null: there is no such group. */
  async read(admin: Admin, most: number): Promise<Letters | null> {
    // A letter comes into the one queue; sent again it goes into the other.
    const [dead, retries, { discarded }] = await Promise.all([ends(admin, deadLetterTopic(this.group)), ends(admin, retryTopic(this.group)), admin.consumeStats(this.group)]);
    // Whoever has had a letter has a topic for them.
    if (dead.length === 0 && !(await admin.groups()).some(({ group }) => group === this.group)) return null;
    const mark = JSON.stringify([dead, retries, discarded, most]);
    if (mark !== this.#mark) {
      const found = await admin.deadLetters(this.group, { max: most + 1 });
      this.#known = { letters: found.slice(0, most).map(summaryOf), hasMore: found.length > most, discarded };
      this.#mark = mark;
    }
    return this.#known;
  }

  /** Whether one that was read is a letter still, as the broker says now. New ones come at the end, so it is not further back than it was. */
  async stillHas(admin: Admin, { offsetMsgId }: MessageSummary): Promise<boolean> {
    const { length } = this.#known.letters;
    return length > 0 && (await admin.deadLetters(this.group, { max: length })).some((letter) => letter.offsetMsgId === offsetMsgId);
  }

  /** Something has been done that only this element knows of. */
  forget(): void {
    this.#mark = "";
  }
}

async function ends(admin: Admin, topic: string): Promise<[min: number, max: number][]> {
  try {
    return (await admin.topicStats(topic)).queues.map(({ minOffset, maxOffset }) => [minOffset, maxOffset]);
  } catch (error) {
    if (error instanceof MQError && error.code === "TOPIC_NOT_EXIST") return [];
    throw error;
  }
}
