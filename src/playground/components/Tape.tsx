import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Lane } from "../lanes.ts";
import { inspected, topic } from "../state.ts";
import { tabHue } from "../tab-name.ts";

/** A queue is a tape: offsets only grow, consuming moves the mark and removes nothing. One tab stop, arrow keys move along it. */
export function Tape({ lane, chips }: { lane: Lane; chips: number }) {
  const { queueId, min, max, consumed, inflight, owner } = lane;
  const list = useRef<HTMLDivElement>(null);
  const chosen = useSignal<number | null>(null);
  const first = Math.max(min, max - chips);
  if (first >= max) return <p class="tape-empty">Empty: the next message gets offset {max}</p>;

  const stop = chosen.value !== null && chosen.value >= first && chosen.value < max ? chosen.value : max - 1;
  const goTo = (offset: number): void => {
    chosen.value = Math.min(Math.max(offset, first), max - 1);
    list.current?.querySelector<HTMLElement>(`[data-offset="${chosen.value}"]`)?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Record<string, number> = { ArrowLeft: stop - 1, ArrowRight: stop + 1, Home: first, End: max - 1 };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    goTo(to);
  };
  const older = consumed === null ? 0 : Math.max(0, first - consumed);
  return (
    <div class="tape" ref={list} role="group" aria-label={`Newest messages of queue ${queueId}`} style={owner === undefined ? {} : { "--tab-hue": tabHue(owner) }} onKeyDown={onKeyDown}>
      {older > 0 && <span class="older" title={`${older} waiting messages are older than these`}>{older} more</span>}
      {Array.from({ length: max - first }, (_, at) => first + at).map((offset) => {
        const state = stateOf(offset, consumed, inflight);
        return (
          <button
            key={offset} type="button" class={`chip ${state}${offset === consumed && offset > first ? " mark" : ""}`}
            data-offset={offset} tabIndex={offset === stop ? 0 : -1}
            aria-label={`Offset ${offset}, ${WORDS[state]}`}
            onFocus={() => (chosen.value = offset)}
            onClick={() => (inspected.value = { topic: topic.value, queueId, offset })}
          >
            {offset}
          </button>
        );
      })}
    </div>
  );
}

const WORDS = { consumed: "consumed", inflight: "in a consumer's hands", waiting: "waiting", unread: "no group has read it" };

function stateOf(offset: number, consumed: number | null, inflight: number): keyof typeof WORDS {
  if (consumed === null) return "unread";
  if (offset < consumed) return "consumed";
  return offset < consumed + inflight ? "inflight" : "waiting";
}
