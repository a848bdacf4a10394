import { useRef } from "preact/hooks";
import { type Polled, usePolled } from "../../polled.ts";
import { useDevtools } from "../../context.ts";
import { LetterCount } from "./letter-count.ts";
import { askSurroundings, type Surroundings } from "./surroundings.ts";
import { askTopic, type TopicView } from "./topic-view.ts";

const EVERY = 300;
/** While things move. */
const EVERY_MOVING = 150;
const SURROUNDINGS_EVERY = 900;
/** A pause this long is no rest yet: a consumer may be slow. */
const REST_AFTER = 2000;

/** What the live map shows. */
export interface LiveView {
  topic: Polled<TopicView>;
  around: Polled<Surroundings>;
  refresh(): void;
}

export function useLiveView(topic: string, group: string): LiveView {
  const { session } = useDevtools();
  const last = useRef({ text: "", view: null as TopicView | null, changedAt: 0 });
  const letters = useRef(new LetterCount());
  const about = [topic, group];
  const view = usePolled(
    async () => {
      const next = await askTopic(session.mq.admin, topic, group);
      const text = JSON.stringify(next);
      // Most rounds find nothing new; then nothing is drawn.
      if (last.current.view !== null && text === last.current.text) return last.current.view;
      last.current = { text, view: next, changedAt: performance.now() };
      return next;
    },
    () => (performance.now() - last.current.changedAt < REST_AFTER ? EVERY_MOVING : EVERY),
    about,
  );
  const around = usePolled(() => askSurroundings(session.mq.admin, letters.current, topic, group), SURROUNDINGS_EVERY, about);
  return {
    topic: view,
    around,
    refresh: () => {
      view.refresh();
      around.refresh();
    },
  };
}

/** Client ids of those who own queues, in the queues' order. */
export function ownersOf({ lanes }: TopicView): string[] {
  return [...new Set(lanes.flatMap(({ owner }) => owner ?? []))];
}

/** Messages that wait for the group; null = it has never been at this topic. */
export function backlogOf({ lanes }: TopicView): number | null {
  return lanes.some((lane) => lane.consumed !== null) ? lanes.reduce((total, lane) => total + lane.backlog, 0) : null;
}
