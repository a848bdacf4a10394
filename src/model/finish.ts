import { PROPERTY } from "./properties.ts";
import { propertyOf } from "./record-properties.ts";

/** A message of a queue that a group need not be given any more. */
export interface Finish {
  group: string;
  topic: string;
  queueId: number;
  queueOffset: number;
}

/** As a copy's property names the message that it takes the place of. Names hold no spaces. */
export function finishText({ group, topic, queueId, queueOffset }: Finish): string {
  return `${group} ${topic} ${queueId} ${queueOffset}`;
}

const FINISH = /^(\S+) (\S+) (\d{1,3}) (\d{1,16})$/;
const NAME = new TextEncoder().encode(PROPERTY.FINISHES);

/** What the whole, checked record at `start` finishes; null = nothing, as most do. */
export function finishOf(records: Uint8Array, start: number): Finish | null {
  const [, group, topic, queueId, queueOffset] = FINISH.exec(propertyOf(records, start, NAME) ?? "") ?? [];
  return group === undefined ? null : { group, topic: topic!, queueId: Number(queueId), queueOffset: Number(queueOffset) };
}
