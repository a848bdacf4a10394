import type { TopicConfig, TopicStats } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { DataTable } from "../../ui/DataTable.tsx";
import { Panel } from "../../ui/Panel.tsx";

/** Each queue, and how far it goes. */
export function TopicQueues({ stats: { queues }, config }: { stats: TopicStats; config: TopicConfig }) {
  const t = useTranslate();
  return (
    <Panel title={t("topics.queues")}>
      <DataTable
        label={t("topics.queues")} rows={queues} keyOf={({ queueId }) => String(queueId)}
        columns={[
          { id: "queue", title: t("topics.queue"), cell: ({ queueId }) => <><span class="card-only">{t("topics.queue")} </span>{queueId}{queueId >= config.writeQueueNums && <> <span class="tag" title={t("topics.readOnlyQueue.hint")}>{t("topics.perm.read")}</span></>}</> },
          { id: "min", title: t("topics.min"), hint: t("topics.min.hint"), number: true, cell: ({ minOffset }) => t.number(minOffset) },
          { id: "max", title: t("topics.max"), hint: t("topics.max.hint"), number: true, cell: ({ maxOffset }) => t.number(maxOffset) },
          { id: "messages", title: t("topics.messages"), number: true, cell: ({ minOffset, maxOffset }) => t.number(maxOffset - minOffset) },
          { id: "updated", title: t("topics.updated"), width: "minmax(0, 1.6fr)", number: true, cell: ({ lastUpdate }) => (lastUpdate === 0 ? "–" : t.time(lastUpdate)) },
        ]}
      />
    </Panel>
  );
}
