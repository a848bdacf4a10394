import { type ReadonlySignal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { useDevtools, useTranslate } from "../../context.ts";
import { Answer } from "../../ui/Answer.tsx";
import { useStyles } from "../../styles.ts";
import { senderPlace, type Witness } from "./flows.ts";
import { Group } from "./Group.tsx";
import { Lanes } from "./Lanes.tsx";
import { type LiveView, ownersOf } from "./live-view.ts";
import css from "./map.css?inline";
import { Beside } from "./Beside.tsx";
import { useRebalances } from "./rebalances.ts";
import { RebalanceNote, rebalanceText } from "./RebalanceNote.tsx";
import { Senders } from "./Senders.tsx";
import { sum, type TopicView } from "./topic-view.ts";
import { Traffic } from "./Traffic.tsx";

/** One message, where it stands. */
export interface Place {
  topic: string;
  queueId: number;
  offset: number;
}

interface LiveMapProps {
  topic: string;
  group: string;
  view: LiveView;
  witness?: ReadonlySignal<Witness> | undefined;
  /** Where there is no such topic. */
  missing: ComponentChildren;
  /** Above the map: what can be seen, or should be done next. */
  hint?: ComponentChildren;
  /** Beneath the group's consumers. */
  join?: ComponentChildren;
  onGroup: (group: string) => void;
  onInspect: (place: Place) => void;
}

/** A broker at work, from left to right: who sends, the topic's queues, the group, its consumers in their tabs. */
export function LiveMap(props: LiveMapProps) {
  useStyles(css);
  return <Answer of={props.view.topic}>{(topicView) => (topicView.isMissing ? props.missing : <Drawing {...props} topicView={topicView} />)}</Answer>;
}

function Drawing({ topic, group, view, topicView, witness, hint, join, onGroup, onInspect }: LiveMapProps & { topicView: TopicView }) {
  const { announce, session } = useDevtools();
  const t = useTranslate();
  const root = useRef<HTMLDivElement>(null);
  const factor = useSignal(1);
  const around = view.around.value.value;
  const ownId = session.client.value?.clientId ?? "";
  const rebalance = useRebalances(topicView, `${topic}\n${group}`, ownId, (one) => announce(rebalanceText(t, one, ownId)));
  // In the order of their queues, so that lines do not cross; who has none comes last.
  const members = [...new Set([...ownersOf(topicView), ...(around?.members.map(({ clientId }) => clientId) ?? [])])];
  // A page that sends is there before it has sent.
  const senders = witness === undefined || topicView.senders.some(({ clientId }) => clientId === ownId) ? topicView.senders : [{ clientId: ownId, putMessages: 0 }, ...topicView.senders];
  return (
    <>
      {hint}
      <div class="map" ref={root}>
        <Traffic
          root={root} view={topicView} senders={senders.map(({ clientId }) => senderPlace(clientId))} members={members}
          witness={witness} factor={factor}
        />
        <Senders senders={senders} ownId={ownId} witness={witness} />
        <section class="box topic-box" aria-labelledby="map-topic">
          <div class="box-head" data-place="topic">
            <h3 class="box-name" id="map-topic" title={topic}>{t.rich("map.topic.name", { label: <span>{t("map.topic")}</span>, topic })}</h3>
            <p class="quiet">{t("map.topic.stored", { count: sum(topicView.lanes, ({ min, max }) => max - min) })}</p>
          </div>
          <Lanes lanes={topicView.lanes} onInspect={(queueId, offset) => onInspect({ topic, queueId, offset })} />
        </section>
        <Group topic={topic} group={group} view={topicView} around={around} members={members} join={join} onGroup={onGroup} />
        <Beside group={group} view={topicView} around={around} />
      </div>
      <div class="map-foot">
        <RebalanceNote rebalance={rebalance.value} />
        <p class="legend"><span class="legend-dot" aria-hidden="true" />{t(factor.value === 1 ? "map.legend.one" : "map.legend.many", { count: factor.value })}</p>
      </div>
    </>
  );
}
