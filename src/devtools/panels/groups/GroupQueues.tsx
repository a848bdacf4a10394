import type { ConsumeStats } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { TabName } from "../../ui/TabName.tsx";

/** Each queue of the group's topics: whose it is, and how far it has come. */
export function GroupQueues({ stats: { queues }, isBroadcasting }: { stats: ConsumeStats; isBroadcasting: boolean }) {
  const t = useTranslate();
  return (
    <Panel title={t("groups.queues")}>
      {queues.length === 0 ? <Empty title={t("groups.noProgress")}>{t(isBroadcasting ? "groups.noProgress.broadcast" : "groups.noProgress.hint")}</Empty> : (
        <DataTable
          label={t("groups.queues")} rows={queues} keyOf={({ topic, queueId }) => `${topic} ${queueId}`}
          columns={[
            { id: "topic", title: t("topics.topic"), width: "minmax(0, 2.2fr)", cell: ({ topic }) => <Link to={pathTo("topics", [topic])} title={topic}>{topic}</Link> },
            { id: "queue", title: t("topics.queue"), width: "minmax(0, 0.6fr)", cell: ({ queueId }) => queueId },
            { id: "owner", title: t("groups.owner"), width: "minmax(0, 1.2fr)", cell: ({ clientId }) => (clientId === undefined ? <span class="quiet">{t("common.none")}</span> : <TabName clientId={clientId} />) },
            { id: "broker", title: t("groups.brokerOffset"), hint: t("topics.max.hint"), number: true, cell: ({ brokerOffset }) => t.number(brokerOffset) },
            { id: "consumer", title: t("groups.consumerOffset"), hint: t("groups.consumerOffset.hint"), number: true, cell: ({ consumerOffset }) => t.number(consumerOffset) },
            { id: "diff", title: t("groups.lag"), hint: t("groups.lag.hint"), width: "minmax(0, 0.9fr)", number: true, cell: ({ diff }) => (diff === 0 ? t.number(0) : <strong>{t.number(diff)}</strong>) },
            { id: "inflight", title: t("groups.inflight"), hint: t("groups.inflight.hint"), width: "minmax(0, 0.9fr)", number: true, cell: ({ inflight }) => t.number(inflight) },
            { id: "last", title: t("groups.lastConsumed"), hint: t("groups.lastConsumed.hint"), width: "minmax(0, 1.7fr)", number: true, cell: ({ lastTimestamp }) => (lastTimestamp === 0 ? "–" : t.time(lastTimestamp)) },
          ]}
        />
      )}
    </Panel>
  );
}
