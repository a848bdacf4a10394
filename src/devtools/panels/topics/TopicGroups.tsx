import type { GroupInfo } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { useRowAnswers } from "../../row-answers.ts";
import { Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { RowAnswer } from "../../ui/RowAnswer.tsx";

/** Who consumes the topic, and how far each is behind. */
export function TopicGroups({ topic, groups }: { topic: string; groups: readonly GroupInfo[] }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const progress = useRowAnswers(async (group) => {
    const { queues } = await session.mq.admin.consumeStats(group);
    const own = queues.filter((queue) => queue.topic === topic);
    // Members of a broadcasting group keep their offsets themselves: the broker knows of no backlog.
    if (own.length === 0) return null;
    return { lag: own.reduce((sum, { diff }) => sum + diff, 0), inflight: own.reduce((sum, { inflight }) => sum + inflight, 0) };
  });
  return (
    <Panel title={t("topics.groups")}>
      {groups.length === 0 ? <Empty title={t("topics.noGroups")}>{t("topics.noGroups.hint")}</Empty> : (
        <DataTable
          label={t("topics.groups")} rows={groups} keyOf={({ group }) => group}
          columns={[
            { id: "group", title: t("groups.group"), width: "minmax(0, 2.4fr)", cell: ({ group }) => <Link to={pathTo("groups", [group])} title={group}>{group}</Link> },
            { id: "model", title: t("groups.model"), width: "minmax(0, 1.3fr)", cell: ({ messageModel }) => (messageModel === undefined ? "–" : t(`groups.model.${messageModel}`)) },
            { id: "members", title: t("groups.members"), number: true, cell: ({ consumers }) => t.number(consumers) },
            { id: "lag", title: t("groups.lag"), hint: t("groups.lag.hint"), number: true, cell: ({ group }) => <RowAnswer of={progress} name={group}>{(value) => (value === null ? "–" : t.number(value.lag))}</RowAnswer> },
            { id: "inflight", title: t("groups.inflight"), hint: t("groups.inflight.hint"), number: true, cell: ({ group }) => <RowAnswer of={progress} name={group}>{(value) => (value === null ? "–" : t.number(value.inflight))}</RowAnswer> },
          ]}
        />
      )}
    </Panel>
  );
}
