import type { Acked } from "./history.ts";
import type { Tab } from "./house.ts";

/** Sends to the topic "load" without end: `batch` messages a send, `senders` sends at once. Bodies are numbered: `name number padding`. */
export function load(tab: Tab, name: string, batch: number, senders: number): Promise<void> {
  return tab.run(
    ({ producer, report }, given) => {
      let next = 0;
      const work = async (): Promise<void> => {
        for (;;) {
          const bodies = Array.from({ length: given.batch }, () => `${given.name} ${next} ${"x".repeat(next++ % 300)}`);
          const messages = bodies.map((body) => ({ topic: "load", body, tags: "t" }));
          const result = await producer.send(given.batch === 1 ? messages[0]! : messages);
          const { queueId } = result.messageQueue;
          const ids = result.msgId.split(",");
          // Awaited, so that what this process knows is close behind what the page knows when the kill comes.
          await report({
            kind: "acked",
            messages: bodies.map((body, at) => ({ producer: given.name, topic: "load", queueId, queueOffset: result.queueOffset + at, msgId: ids[at]!, content: `t ${body}` })),
          });
        }
      };
      for (let sender = 0; sender < given.senders; sender++) void work();
    },
    { name, batch, senders },
  );
}

/** A message's place among those of its sender. */
export const numberOf = ({ content }: Acked): number => Number(content.split(" ")[2]);

/** By queue, the first offset of these messages. */
export function firstOffsets(acked: readonly Acked[]): Record<number, number> {
  const from: Record<number, number> = {};
  for (const { queueId, queueOffset } of acked) from[queueId] = Math.min(from[queueId] ?? Infinity, queueOffset);
  return from;
}
