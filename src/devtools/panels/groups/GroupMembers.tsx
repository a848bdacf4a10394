import type { ComponentChild } from "preact";
import type { ConsumerConnection, ConsumeStats, GroupInfo } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { pathTo } from "../../router.ts";
import { Empty } from "../../ui/Answer.tsx";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { TabName } from "../../ui/TabName.tsx";
import { inconsistencies } from "./inconsistency.ts";
import { queueRanges } from "./queue-ranges.ts";

interface GroupMembersProps {
  info: GroupInfo;
  connections: readonly ConsumerConnection[];
  stats: ConsumeStats;
}

/** Who is in the group, what each asks for and works on; and what does not fit together. */
export function GroupMembers({ info, connections, stats }: GroupMembersProps) {
  const t = useTranslate();
  const differences = inconsistencies(connections);
  // Simple consumers own no queue: they take messages out of all of them.
  const shares = connections.some(({ assignment }) => assignment.length > 0);
  const orphans = shares ? stats.queues.filter(({ clientId }) => clientId === undefined).length : 0;
  const rows = connections.map((member, at) => ({ ...member, at }));
  return (
    <Panel title={t("groups.members")}>
      {differences.map((key) => <p key={key} class="outcome warn"><strong>{t("groups.differ")}</strong> {t(key)}</p>)}
      {orphans > 0 && <p class="outcome warn">{t("groups.orphans", { count: orphans })}</p>}
      {connections.length === 0 ? <Empty title={t("groups.nobody")}>{t(info.topics.length === 0 ? "groups.nobody.new" : "groups.nobody.hint")}</Empty> : (
        <DataTable
          label={t("groups.members")} rows={rows} keyOf={({ clientId, at }) => `${clientId} ${at}`}
          columns={[
            { id: "client", title: t("groups.client"), width: "minmax(0, 1.2fr)", cell: ({ clientId }) => <TabName clientId={clientId} /> },
            { id: "type", title: t("groups.consumeType"), width: "minmax(0, 1.2fr)", cell: ({ consumeType }) => <span title={consumeType}>{t(`groups.type.${consumeType}`)}</span> },
            { id: "model", title: t("groups.model"), cell: ({ messageModel }) => t(`groups.model.${messageModel}`) },
            { id: "from", title: t("groups.from"), hint: t("groups.from.hint"), width: "minmax(0, 1.3fr)", cell: ({ consumeFromWhere }) => <span title={consumeFromWhere}>{t(`groups.from.${consumeFromWhere}`)}</span> },
            {
              id: "subscription", title: t("groups.subscription"), width: "minmax(0, 2.4fr)",
              cell: ({ subscriptions }) => (
                <Lines none={t("groups.picked")}>
                  {Object.entries(subscriptions).map(([topic, expression]) => <li key={topic}><Link to={pathTo("topics", [topic])} title={topic}>{topic}</Link> <code title={expression}>{expression}</code></li>)}
                </Lines>
              ),
            },
            {
              id: "assignment", title: t("groups.assignment"), width: "minmax(0, 2fr)",
              cell: ({ assignment }) => (
                <Lines none={t("groups.noQueues")}>
                  {[...new Set(assignment.map(({ topic }) => topic))].map((topic) => (
                    <li key={topic}><span title={topic}>{topic}</span><span>{queueRanges(assignment.filter((queue) => queue.topic === topic).map(({ queueId }) => queueId))}</span></li>
                  ))}
                </Lines>
              ),
            },
          ]}
        />
      )}
      {connections.length > 0 && <p class="hint group-note">{t("groups.agree.hint")}</p>}
    </Panel>
  );
}

function Lines({ none, children }: { none: string; children: ComponentChild[] }) {
  return children.length === 0 ? <span class="quiet">{none}</span> : <ul class="lines">{children}</ul>;
}
