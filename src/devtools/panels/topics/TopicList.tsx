import { useSignal } from "@preact/signals";
import { retryTopic } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { useRowAnswers } from "../../row-answers.ts";
import { topicKind } from "../../topic-kind.ts";
import { Answer, Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { ListTools } from "../../ui/ListTools.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { RowAnswer } from "../../ui/RowAnswer.tsx";
import { topicFigures } from "./topic-figures.ts";
import { TopicForm } from "./TopicForm.tsx";
import { permKey } from "./perm.ts";

const ASK_EVERY = 3000;

export function TopicList() {
  const { router, session } = useDevtools();
  const t = useTranslate();
  const isCreating = useSignal(false);
  const asked = usePolled(async () => {
    const { admin } = session.mq;
    const [topics, groups] = await Promise.all([admin.topics(), admin.groups()]);
    const consumers = new Map<string, number>();
    for (const topic of groups.flatMap((group) => [...group.topics, retryTopic(group.group)])) consumers.set(topic, (consumers.get(topic) ?? 0) + 1);
    return { topics, consumers };
  }, ASK_EVERY);
  const figures = useRowAnswers(async (topic) => {
    const { admin } = session.mq;
    return topicFigures(admin, await admin.topicStats(topic));
  });
  const { query } = router.route.value;
  const filter = (query.filter ?? "").trim().toLowerCase();
  return (
    <Panel title={t("topics.nav")} tools={<button type="button" class="button primary" onClick={() => (isCreating.value = true)}>{t("topics.create")}</button>}>
      <Answer of={asked}>
        {({ topics, consumers }) => {
          const open = topics.filter(({ topic }) => topicKind(topic) === "own" || query[topicKind(topic)] !== undefined);
          const rows = open.filter(({ topic }) => topic.toLowerCase().includes(filter));
          return (
            <>
              <ListTools
                count={t("topics.count", { count: rows.length })}
                switches={[["retry", t("topics.show.retry")], ["dead", t("topics.show.dead")], ["system", t("topics.show.system")]]}
              />
              {open.length === 0 ? <Empty title={t("topics.none")}>{t("topics.none.hint")}</Empty> : rows.length === 0 ? <Empty title={t("common.noMatch", { text: query.filter ?? "" })} /> : (
                <DataTable
                  label={t("topics.nav")} rows={rows} keyOf={({ topic }) => topic}
                  columns={[
                    { id: "topic", title: t("topics.name"), width: "minmax(0, 3fr)", cell: ({ topic }) => <Link to={pathTo("topics", [topic])} title={topic}>{topic}</Link> },
                    { id: "type", title: t("topics.type"), width: "minmax(0, 1.1fr)", cell: ({ messageType }) => <code>{messageType}</code> },
                    { id: "perm", title: t("topics.perm"), width: "minmax(0, 1.3fr)", cell: ({ perm }) => (perm === 6 ? t(permKey(perm)) : <span class="tag warn">{t(permKey(perm))}</span>) },
                    { id: "queues", title: t("topics.queues"), hint: t("topics.queues.hint"), width: "minmax(0, 0.8fr)", number: true, cell: ({ readQueueNums, writeQueueNums }) => (readQueueNums === writeQueueNums ? t.number(readQueueNums) : `${readQueueNums} / ${writeQueueNums}`) },
                    { id: "messages", title: t("topics.messages"), number: true, cell: ({ topic }) => <RowAnswer of={figures} name={topic}>{({ messages }) => t.number(messages)}</RowAnswer> },
                    { id: "minute", title: t("topics.minute"), hint: t("topics.minute.hint"), number: true, cell: ({ topic }) => <RowAnswer of={figures} name={topic}>{({ lastMinute }) => (lastMinute === undefined ? "–" : t.number(lastMinute))}</RowAnswer> },
                    { id: "groups", title: t("topics.groups"), width: "minmax(0, 0.8fr)", number: true, cell: ({ topic }) => t.number(consumers.get(topic) ?? 0) },
                    { id: "updated", title: t("topics.updated"), width: "minmax(0, 1.8fr)", number: true, cell: ({ topic }) => <RowAnswer of={figures} name={topic}>{({ lastUpdate }) => (lastUpdate === 0 ? "–" : t.time(lastUpdate))}</RowAnswer> },
                  ]}
                />
              )}
              {isCreating.value && <TopicForm known={topics} onClose={() => (isCreating.value = false)} onDone={(topic) => router.go(pathTo("topics", [topic]))} />}
            </>
          );
        }}
      </Answer>
    </Panel>
  );
}
