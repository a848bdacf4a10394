import type { RecordPlace } from "../model/record-copy.ts";

/** Knows messages that are not to be seen yet, and where they are until then. */
export interface Diversion {
  /** Where the message goes first; null = it is none of these. @throws MQError when it may go nowhere */
  divert(place: RecordPlace): RecordPlace | null;
}

/** What is sent, tried again or committed may have to wait elsewhere first. The first that takes a message has it. */
export class Diversions {
  readonly #diversions: readonly Diversion[];

  constructor(diversions: readonly Diversion[]) {
    this.#diversions = diversions;
  }

  /** Where a message goes that is to be at `place` in the end. @throws MQError */
  aim(place: RecordPlace): RecordPlace {
    for (const diversion of this.#diversions) {
      const first = diversion.divert(place);
      if (first !== null) return first;
    }
    return place;
  }
}
