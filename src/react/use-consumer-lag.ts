import { useEffect, useState } from "react";
import type { MQError } from "../index.ts";
import { asError, useTabMQ } from "./provider.ts";

/** What `useConsumerLag` answers. */
export interface ConsumerLag {
  /** Messages that the group has not consumed, over all its queues; null = not known yet. */
  lag: number | null;
  /** Why it is not known. */
  error: MQError | null;
}

/** How far behind a group is; asked every so many ms (1000 unless given), less often while nobody sees the page. */
export function useConsumerLag(consumerGroup: string, { every = 1000 }: { every?: number } = {}): ConsumerLag {
  const { mq, error: failure } = useTabMQ();
  const [state, setState] = useState<ConsumerLag>(UNKNOWN);
  useEffect(() => {
    if (mq === null) return undefined;
    let isOver = false;
    let timer: ReturnType<typeof setTimeout>;
    const ask = async (): Promise<void> => {
      // The first answer comes in any case.
      const isSeen = document.visibilityState === "visible";
      try {
        const { diffTotal } = await mq.admin.consumeStats(consumerGroup);
        if (!isOver) setState((before) => (before.lag === diffTotal && before.error === null ? before : { lag: diffTotal, error: null }));
      } catch (error) {
        if (!isOver) setState({ lag: null, error: asError(error) });
      }
      if (!isOver) timer = setTimeout(() => void ask(), isSeen ? every : Math.max(every, HIDDEN_EVERY));
    };
    void ask();
    return () => {
      isOver = true;
      clearTimeout(timer);
      setState(UNKNOWN);
    };
  }, [mq, consumerGroup, every]);
  return failure === null ? state : { lag: null, error: failure };
}

const UNKNOWN: ConsumerLag = { lag: null, error: null };
/** Nobody looks: ms. */
const HIDDEN_EVERY = 10_000;
