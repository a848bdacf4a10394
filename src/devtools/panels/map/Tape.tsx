import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { useTranslate } from "../../context.ts";
import type { Lane } from "./topic-view.ts";

interface TapeProps {
  lane: Lane;
  /** How many messages there is room for. */
  chips: number;
  /** So many come that nobody could follow one of them: the chips stand still, and their numbers change. */
  isFast: boolean;
  onInspect: (offset: number) => void;
}

/** A queue is a tape: offsets only grow, consuming moves the mark and removes nothing. One tab stop, arrow keys move along it. */
export function Tape({ lane, chips, isFast, onInspect }: TapeProps) {
  const t = useTranslate();
  const { queueId, max, consumed, inflight } = lane;
  const list = useRef<HTMLDivElement>(null);
  const chosen = useSignal<number | null>(null);
  const { offsets, leftOut } = shownOffsets(lane, chips);
  if (offsets.length === 0) return <p class="tape-empty">{t("map.tape.empty", { offset: max })}</p>;

  const at = chosen.value === null ? -1 : offsets.indexOf(chosen.value);
  const stop = at < 0 ? offsets.length - 1 : at;
  const onKeyDown = (event: KeyboardEvent): void => {
    const moves: Record<string, number> = { ArrowLeft: stop - 1, ArrowRight: stop + 1, Home: 0, End: offsets.length - 1 };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = offsets[Math.min(Math.max(to, 0), offsets.length - 1)]!;
    list.current?.querySelector<HTMLElement>(`[data-offset="${next}"]`)?.focus();
  };
  return (
    <div class="tape" ref={list} role="group" aria-label={t("map.tape", { queue: queueId })} onKeyDown={onKeyDown}>
      {offsets.flatMap((offset, index) => {
        const state = stateOf(offset, consumed, inflight);
        const chip = (
          <button
            key={isFast ? index : offset} type="button" class={`chip ${state}${offset === consumed && index > 0 ? " mark" : ""}${isFast ? " still" : ""}`}
            data-offset={offset} tabIndex={index === stop ? 0 : -1}
            aria-label={t(`map.chip.${state}`, { offset })}
            onFocus={() => (chosen.value = offset)}
            onClick={() => onInspect(offset)}
          >
            {offset}
          </button>
        );
        return offset === leftOut?.before ? [<span key="left-out" class="left-out">+{t.number(leftOut.count)}</span>, chip] : chip;
      })}
    </div>
  );
}

function stateOf(offset: number, consumed: number | null, inflight: number): "consumed" | "inflight" | "waiting" | "unread" {
  if (consumed === null) return "unread";
  if (offset < consumed) return "consumed";
  return offset < consumed + inflight ? "inflight" : "waiting";
}

interface Shown {
  offsets: number[];
  /** Where the backlog is longer than the tape, its middle is left out: both ends are where things happen. */
  leftOut?: { before: number; count: number };
}

function shownOffsets({ min, max, consumed }: Lane, chips: number): Shown {
  const newest = Math.max(min, max - chips);
  const from = consumed === null ? newest : Math.max(min, consumed - 1);
  if (from >= newest) return { offsets: range(newest, max) };
  // The gap's label takes the room of two chips.
  const head = Math.max(1, Math.floor((chips - 2) / 2));
  const tail = Math.max(max - Math.max(1, chips - 2 - head), from + head);
  return { offsets: [...range(from, from + head), ...range(tail, max)], leftOut: { before: tail, count: tail - from - head } };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}
