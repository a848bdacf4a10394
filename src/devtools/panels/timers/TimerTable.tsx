import type { PendingTimer } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { running } from "../../now.ts";
import { pathTo } from "../../router.ts";
import { groupOfTopic, topicKind } from "../../topic-kind.ts";
import { DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";

interface TimerTableProps {
  /** The soonest first. */
  rows: readonly PendingTimer[];
  now: number;
  onRecall: (timer: PendingTimer) => void;
}

export function TimerTable({ rows, now, onRecall }: TimerTableProps) {
  const t = useTranslate();
  return (
    <DataTable<PendingTimer>
      label={t("timers.nav")} rows={rows} keyOf={({ msgId, deliverTimestamp, topic }) => `${msgId} ${topic} ${deliverTimestamp}`}
      columns={[
        { id: "due", title: t("timers.due"), width: "152px", cell: ({ msgId, deliverTimestamp }) => <Link to={pathTo("messages", [msgId])} title={msgId}>{t.time(deliverTimestamp)}</Link> },
        { id: "in", title: t("timers.in"), width: "80px", number: true, cell: ({ deliverTimestamp: due }) => (due <= now ? t("timers.now") : running(t, due - now)) },
        {
          id: "topic", title: t("timers.topic"),
          cell: ({ topic }) => topicKind(topic) === "retry"
            ? <Link to={pathTo("groups", [groupOfTopic(topic)!])} title={topic}>{t("timers.retryOf", { group: groupOfTopic(topic)! })}</Link>
            : <Link to={pathTo("topics", [topic])} title={topic}>{topic}</Link>,
        },
        { id: "by", title: t("timers.by"), width: "120px", cell: ({ delayTimeLevel: level }) => (level === undefined ? t("timers.by.time") : t("timers.by.level", { level })) },
        { id: "keys", title: t("timers.keys"), cell: ({ keys, tags }) => <>{tags !== undefined && <span class="tag" title={tags}>{tags}</span>} {keys.slice(0, 20).join(" ") || (tags === undefined ? "–" : "")}</> },
        { id: "size", title: t("timers.size"), width: "70px", number: true, cell: ({ bodySize }) => t.bytes(bodySize) },
        { id: "stored", title: t("timers.stored"), width: "152px", cell: ({ storeTimestamp }) => t.time(storeTimestamp) },
        {
          id: "recall", title: t("timers.recall"), width: "120px", pinned: true,
          cell: (timer) => (timer.recallHandle === undefined
            ? <span class="quiet" title={t("timers.noRecall.hint")}>{t("timers.noRecall")}</span>
            : <button type="button" class="button small danger" onClick={() => onRecall(timer)}>{t("timers.recall")}</button>),
        },
      ]}
    />
  );
}
