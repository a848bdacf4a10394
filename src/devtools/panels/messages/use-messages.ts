import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { MQError } from "../../../index.ts";
import { useDevtools } from "../../context.ts";
import type { MessageSummary } from "../../message/summary.ts";
import { reasonOf } from "../../polled.ts";
import { type MessageSource, type Query, sourceOf } from "./sources.ts";

const PAGE = 100;
/** Nobody reads so many rows; a narrower question is the better one. */
export const MOST_ROWS = 2000;

/** How far a question has been answered. */
interface Found {
  readonly rows: readonly MessageSummary[];
  readonly hasMore: boolean;
  readonly total: number | undefined;
  readonly end: number;
}

export interface FoundMessages {
  /** undefined = nothing has been asked, or nothing has come yet; null = there is no such topic. */
  readonly found: ReadonlySignal<Found | null | undefined>;
  readonly problem: ReadonlySignal<string>;
  readonly isBusy: ReadonlySignal<boolean>;
  more(): void;
  again(): void;
}

/** Asks for a page of messages, and for the next ones when somebody wants them. `null`: nothing is asked. */
export function useMessages(query: Query | null): FoundMessages {
  const { session } = useDevtools();
  const found = useSignal<Found | null | undefined>(undefined);
  const problem = useSignal("");
  const isBusy = useSignal(false);
  const current = useRef({ more: () => {}, again: () => {} });
  useEffect(() => {
    let round = 0;
    let source: MessageSource | undefined;
    found.value = undefined;
    problem.value = "";
    const read = async (isNew: boolean): Promise<void> => {
      if (query === null) return;
      const own = ++round;
      isBusy.value = true;
      try {
        if (isNew || source === undefined) {
          const { mq } = session;
          source = await sourceOf(mq, await session.reader(), query);
        }
        const { total, end } = source;
        const rows = await source.next(PAGE);
        if (own !== round) return;
        found.value = { rows: isNew ? rows : [...(found.peek()?.rows ?? []), ...rows], hasMore: source.hasMore, total, end };
        problem.value = "";
      } catch (error) {
        if (own !== round) return;
        if (error instanceof MQError && error.code === "TOPIC_NOT_EXIST") [found.value, problem.value] = [null, ""];
        else problem.value = reasonOf(error);
      } finally {
        if (own === round) isBusy.value = false;
      }
    };
    current.current = { more: () => void read(false), again: () => void read(true) };
    const stop = session.client.subscribe((client) => {
      if (client !== null) void read(true);
    });
    return () => {
      round = Number.NaN;
      stop();
    };
  }, [query?.topic, query?.key, query?.begin, query?.end]);
  return { found, problem, isBusy, more: () => current.current.more(), again: () => current.current.again() };
}
