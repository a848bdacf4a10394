import { useTranslate } from "../../../devtools/context.ts";
import { Empty } from "../../../devtools/ui/Answer.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { TabName } from "../../../devtools/ui/TabName.tsx";
import { Lane } from "./Lane.tsx";
import { topicName } from "./lane-names.ts";
import type { LogLine, Play } from "./play.ts";
import type { Snapshot, TopicView } from "./snapshot.ts";

/** What a story does to its namespace: queues with their messages, who has them, and what has happened. */
export function StageView({ play }: { play: Play | null }) {
  const t = useTranslate();
  const snapshot = play?.snapshot.value ?? null;
  return (
    <Panel title={t("scenarios.stage")} tools={play !== null && <Namespace play={play} />}>
      {play === null || snapshot === null
        ? <Empty title={t(play === null ? "scenarios.stage.empty" : "scenarios.phase.preparing")}>{play === null ? t("scenarios.stage.hint") : undefined}</Empty>
        : (
          <div class="stack" data-stage>
            <Figures snapshot={snapshot} />
            <Members snapshot={snapshot} />
            {snapshot.topics.map((topic) => <TopicLanes key={topic.topic} topic={topic} snapshot={snapshot} />)}
            <Log lines={play.lines.value} />
          </div>
        )}
    </Panel>
  );
}

/** When the stage is cleared, what the broker has kept can be looked at with all the other panels. */
function Namespace({ play: { namespace, phase } }: { play: Play }) {
  const t = useTranslate();
  return phase.value === "over"
    ? <a href={`?namespace=${namespace}#/topics`} target="_blank" rel="noopener">{t("scenarios.open", { namespace })}</a>
    : <code class="quiet">{namespace}</code>;
}

function Figures({ snapshot: { topics, groups, epoch, timers, halves } }: { snapshot: Snapshot }) {
  const t = useTranslate();
  const own = topics.filter(({ topic }) => !topic.startsWith("%"));
  const stored = own.flatMap(({ queues }) => queues).reduce((sum, { maxOffset, minOffset }) => sum + maxOffset - minOffset, 0);
  const figures: (readonly [string, number])[] = [
    [t("scenarios.stored"), stored],
    [t("scenarios.waiting"), groups.reduce((sum, { diffTotal }) => sum + diffTotal, 0)],
    [t("scenarios.timers"), timers],
    [t("scenarios.halves"), halves],
    [t("connection.epoch"), epoch],
  ];
  return <dl class="figures">{figures.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{t.number(value)}</dd></div>)}</dl>;
}

/** Which tabs are in which group. */
function Members({ snapshot: { groups } }: { snapshot: Snapshot }) {
  const t = useTranslate();
  if (groups.length === 0) return null;
  return (
    <dl class="story-members">
      {groups.map(({ group, members, diffTotal }) => (
        <div key={group}>
          <dt>{group}</dt>
          <dd>
            {members.length === 0 && <span class="quiet">{t("scenarios.nobody")}</span>}
            {members.map(({ clientId }) => <TabName key={clientId} clientId={clientId} always />)}
            <span class="quiet">{t("scenarios.backlog", { count: diffTotal })}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}

function TopicLanes({ topic: { topic, queues }, snapshot: { groups } }: { topic: TopicView; snapshot: Snapshot }) {
  const t = useTranslate();
  const shown = groups.filter((group) => group.queues.some((queue) => queue.topic === topic));
  return (
    <section class="story-topic" data-topic={topic}>
      <h3>{topicName(topic, t)}</h3>
      <ul class="lanes">{queues.map((queue) => <Lane key={queue.queueId} queue={queue} groups={shown} />)}</ul>
    </section>
  );
}

function Log({ lines }: { lines: readonly LogLine[] }) {
  const t = useTranslate();
  return (
    <section class="story-log">
      <h3>{t("scenarios.log")}</h3>
      <ol tabIndex={0} aria-label={t("scenarios.log")}>
        {lines.toReversed().map(({ at, who, what, values }, index) => (
          <li key={lines.length - index}>
            <span class="quiet number">{(at / 1000).toFixed(1)} s</span>
            <TabName clientId={who} always />
            <span>{t(what, values)}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
