import { type ReadonlySignal, type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { tabHue } from "../../ui/tab-hue.ts";
import { Dots } from "./dots.ts";
import { DotScale, type Flow, flowsBetween, lanePlace, memberPlace, type Witness } from "./flows.ts";
import { pathOf, Places } from "./places.ts";
import type { TopicView } from "./topic-view.ts";

/** More queues than this would make a net of the lines from producers. */
const MOST_LANES = 8;
/** Dots that begin together are spread over the time since the last answer, ms: at most this. */
const LONGEST_ROUND = 300;
/** Longer than two rounds. */
const REST_AFTER = 700;
/** Who has sent so long ago may still have sent what is new in a queue, ms. */
const SENT_LATELY = 1500;
const NOBODY: Witness["failed"] = new Map();

interface TrafficProps {
  root: RefObject<HTMLElement | null>;
  view: TopicView;
  senders: readonly string[];
  members: readonly string[];
  witness: ReadonlySignal<Witness> | undefined;
  /** How many messages a dot stands for, at most. */
  factor: Signal<number>;
}

interface Wire {
  key: string;
  path: string;
  kind: "send" | "own" | "beside";
  owner?: string;
}

/** What moves between the places of the map, drawn over it: lines that stay, and dots that travel along them. */
export function Traffic({ root, view, senders, members, witness, factor }: TrafficProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const wires = useSignal<readonly Wire[]>([]);
  const drawing = useRef<{ places: Places; dots: Dots } | null>(null);
  const rounds = useRef<{ view: TopicView; failed: Witness["failed"]; at: number }[]>([]);
  const scale = useRef(new DotScale());
  const arrangement = JSON.stringify([view.lanes.map(({ owner }) => owner ?? ""), senders, members]);
  const current = useRef({ view, senders });
  current.current = { view, senders };

  const arrange = (): void => {
    const { places, dots } = drawing.current!;
    places.measure();
    dots.fit();
    wires.value = wiresOf(places, current.current.view, current.current.senders);
  };
  useLayoutEffect(() => {
    const places = new Places(root.current!);
    drawing.current = { places, dots: new Dots(canvas.current!, places) };
    const observer = new ResizeObserver(arrange);
    observer.observe(root.current!);
    root.current!.addEventListener("scroll", arrange, { capture: true, passive: true });
    return () => {
      observer.disconnect();
      root.current?.removeEventListener("scroll", arrange, { capture: true });
      drawing.current!.dots.clear();
    };
  }, []);
  useLayoutEffect(arrange, [arrangement]);

  const draw = (flows: readonly (Flow & { dots: number })[], during: number): void => {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    for (const { from, to, dots } of flows) drawing.current!.dots.send(from, to, dots, during);
  };
  useEffect(() => {
    const now = performance.now();
    const before = rounds.current.at(-1);
    const round = { view, failed: witness?.peek().failed ?? NOBODY, at: now };
    rounds.current = [...rounds.current.filter(({ at }) => now - at < SENT_LATELY), round];
    if (before === undefined) return undefined;
    const failed = [...round.failed].map(([clientId, count]) => [clientId, count - (before.failed.get(clientId) ?? 0)] as const);
    draw(scale.current.dots(flowsBetween(before.view, view, { since: rounds.current[0]!.view, failed })), Math.min(now - before.at, LONGEST_ROUND));
    factor.value = scale.current.factor;
    const timer = setTimeout(() => {
      draw(scale.current.rest(), 0);
      factor.value = 1;
    }, REST_AFTER);
    return () => clearTimeout(timer);
  }, [view]);
  useEffect(() => {
    // What has happened while nobody looked is not played back.
    const forget = (): void => void (document.hidden && (rounds.current = []));
    document.addEventListener("visibilitychange", forget);
    return () => document.removeEventListener("visibilitychange", forget);
  }, []);

  return (
    <>
      <svg class="wires" aria-hidden="true">
        {wires.value.map(({ key, path, kind, owner }) => (
          <path key={key} class={`wire ${kind}`} d={path} pathLength={1} style={owner === undefined ? {} : { "--tab-hue": tabHue(owner) }} />
        ))}
      </svg>
      <canvas ref={canvas} class="dots" aria-hidden="true" />
    </>
  );
}

function wiresOf(places: Places, { lanes, retry }: TopicView, senders: readonly string[]): Wire[] {
  const wires: Wire[] = [];
  const add = (kind: Wire["kind"], from: string, to: string, owner?: string): void => {
    const curve = places.curve(from, to);
    if (curve !== undefined) wires.push({ key: `${from}>${to}`, path: pathOf(curve), kind, ...(owner === undefined ? {} : { owner }) });
  };
  for (const sender of senders) {
    if (lanes.length > MOST_LANES) add("send", sender, "topic");
    else for (const { queueId } of lanes) add("send", sender, lanePlace(queueId));
  }
  for (const { queueId, owner } of lanes) if (owner !== undefined) add("own", lanePlace(queueId), memberPlace(owner), owner);
  add("beside", "delayed", "retry");
  add("beside", "group", "dead");
  if (retry.owner !== undefined) add("beside", "retry", memberPlace(retry.owner));
  return wires;
}
