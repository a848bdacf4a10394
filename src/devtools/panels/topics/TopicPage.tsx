import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { MQError, type GroupInfo, type TopicConfig, type TopicStats } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { groupOfTopic, topicKind } from "../../topic-kind.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { DeleteTopic } from "./DeleteTopic.tsx";
import { SendMessage } from "./SendMessage.tsx";
import { type TopicFigures, topicFigures } from "./topic-figures.ts";
import { permKey } from "./perm.ts";
import { TopicForm } from "./TopicForm.tsx";
import { TopicGroups } from "./TopicGroups.tsx";
import { TopicQueues } from "./TopicQueues.tsx";

const ASK_EVERY = 2000;

interface TopicView {
  config: TopicConfig;
  stats: TopicStats;
  figures: TopicFigures;
  /** Groups that consume it, or have. */
  groups: GroupInfo[];
}

export function TopicPage({ topic }: { topic: string }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const wasThere = useRef(false);
  const isCreating = useSignal(false);
  // Null: there is no such topic.
  const asked = usePolled(async (): Promise<TopicView | null> => {
    const { admin } = session.mq;
    try {
      const [configs, stats, groups] = await Promise.all([admin.topics(), admin.topicStats(topic), admin.groups()]);
      const config = configs.find((one) => one.topic === topic);
      if (config === undefined) return null;
      wasThere.current = true;
      return { config, stats, figures: await topicFigures(admin, stats), groups: groups.filter((group) => group.topics.includes(topic) || group.group === groupOfTopic(topic)) };
    } catch (error) {
      // A name that no topic can have is of none, too.
      if (error instanceof MQError && (error.code === "TOPIC_NOT_EXIST" || error.code === "INVALID_PARAMETER")) return null;
      throw error;
    }
  }, ASK_EVERY, [topic]);
  return (
    <Answer of={asked}>
      {(view) => view !== null ? <Topic key={topic} {...view} refresh={asked.refresh} /> : (
        <Panel title={topic} eyebrow={t("topics.topic")}>
          <Empty title={t(wasThere.current ? "topics.deletedMeanwhile" : "topics.unknown")}>
            <Link to={pathTo("topics")}>{t("topics.back")}</Link>
            {topicKind(topic) === "own" && <> · <button type="button" class="link" onClick={() => (isCreating.value = true)}>{t("topics.create")}</button></>}
          </Empty>
          {isCreating.value && <TopicForm name={topic} onClose={() => (isCreating.value = false)} onDone={asked.refresh} />}
        </Panel>
      )}
    </Answer>
  );
}

function Topic({ config, stats, figures, groups, refresh }: TopicView & { refresh: () => void }) {
  const t = useTranslate();
  const { topic, perm, messageType, readQueueNums, writeQueueNums } = config;
  const kind = topicKind(topic);
  const group = groupOfTopic(topic);
  // What was shown when the dialog was opened: the fields do not change under somebody's hands.
  const changing = useSignal<TopicConfig | null>(null);
  const isDeleting = useSignal(false);
  return (
    <>
      <Panel
        title={topic} eyebrow={t("topics.topic")}
        tools={(
          <>
            <Link class="button" to={pathTo("messages", [], { topic })}>{t("topics.look")}</Link>
            {kind === "own" && <button type="button" class="button" onClick={() => (changing.value = config)}>{t("topics.change")}</button>}
            {kind === "own" && <button type="button" class="button danger" onClick={() => (isDeleting.value = true)}>{t("topics.delete")}</button>}
          </>
        )}
      >
        <dl class="figures">
          <Figure name={t("topics.messages")} id="messages">{t.number(figures.messages)}</Figure>
          <Figure name={t("topics.minute")} id="minute">{figures.lastMinute === undefined ? "–" : t.number(figures.lastMinute)}</Figure>
          <Figure name={t("topics.queues")} id="queues">{readQueueNums === writeQueueNums ? t.number(readQueueNums) : t("topics.queues.value", { read: readQueueNums, write: writeQueueNums })}</Figure>
          <Figure name={t("topics.perm")} id="perm">{t(permKey(perm))}</Figure>
          <Figure name={t("topics.type")} id="type">{messageType}</Figure>
          <Figure name={t("topics.updated")} id="updated">{figures.lastUpdate === 0 ? "–" : t.time(figures.lastUpdate)}</Figure>
        </dl>
        {kind !== "own" && (
          <p class="outcome topic-kind">
            {t(`topics.kind.${kind}`)} {group !== undefined && <Link to={kind === "dead" ? pathTo("dead-letters", [group]) : pathTo("groups", [group])}>{group}</Link>}
          </p>
        )}
      </Panel>
      <div class={kind === "own" ? "columns topic-columns" : "stack"}>
        <div class="column">
          <TopicQueues stats={stats} config={config} />
          <TopicGroups topic={topic} groups={groups} />
        </div>
        {kind === "own" && <SendMessage topic={topic} onSent={refresh} />}
      </div>
      {changing.value !== null && <TopicForm config={changing.value} onClose={() => (changing.value = null)} onDone={refresh} />}
      {isDeleting.value && <DeleteTopic topic={topic} messages={figures.messages} groups={groups} onClose={() => (isDeleting.value = false)} />}
    </>
  );
}

function Figure({ name, id, children }: { name: string; id: string; children: string }) {
  return <div><dt>{name}</dt><dd data-figure={id}>{children}</dd></div>;
}
