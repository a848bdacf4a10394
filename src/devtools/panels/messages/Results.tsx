import { useDevtools, useTranslate } from "../../context.ts";
import type { Translate } from "../../i18n/translate.ts";
import css from "../../message/message.css?inline";
import { addressOf, type MessageSummary } from "../../message/summary.ts";
import { usePolled } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { useStyles } from "../../styles.ts";
import { Empty } from "../../ui/Answer.tsx";
import { type Column, DataTable } from "../../ui/DataTable.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { endOf, type Query } from "./sources.ts";
import { MOST_ROWS, useMessages } from "./use-messages.ts";

const NEWER_EVERY = 2000;

/** What a question has found, the newest first, page by page. */
export function Results({ query }: { query: Query }) {
  useStyles(css);
  const { session } = useDevtools();
  const t = useTranslate();
  const { topic, key, end } = query;
  const { found: { value: found }, problem: { value: problem }, isBusy: { value: isBusy }, more, again } = useMessages(query);
  const isOpenEnd = key === "" && end === undefined;
  const now = usePolled(async () => (isOpenEnd ? endOf((await session.mq.admin.topicStats(topic)).queues) : 0), NEWER_EVERY, [topic, isOpenEnd]);
  const rows = found?.rows ?? [];
  const newer = isOpenEnd && found ? (now.value.value ?? 0) - found.end : 0;
  const tools = (
    <>
      {newer > 0 && <button type="button" class="button small primary" disabled={isBusy} onClick={again}>{t("messages.newer", { count: newer })}</button>}
      <button type="button" class="button small" disabled={isBusy} onClick={again}>{t("common.refresh")}</button>
    </>
  );
  return (
    <Panel eyebrow={key === "" ? t("messages.of") : t("messages.withKey", { key })} title={topic} tools={tools}>
      {problem !== "" && <p class="outcome bad" role="alert">{problem}</p>}
      {found === undefined && problem === "" && <p class="quiet" role="status">{t("common.loading")}</p>}
      {found === null && <Empty title={t("messages.topic.unknown")}><Link to={pathTo("topics")}>{t("messages.topic.all")}</Link></Empty>}
      {found && rows.length === 0 && <Nothing query={query} />}
      {rows.length > 0 && (
        <>
          <DataTable label={t("messages.found")} columns={columnsIn(t)} rows={rows} keyOf={({ offsetMsgId }) => offsetMsgId} />
          <div class="more">
            <span class="quiet" role="status">{found?.total === undefined || found.total <= 1 ? t("messages.shown", { count: rows.length }) : t("messages.shownOf", { count: rows.length, total: Math.max(found.total, rows.length) })}</span>
            {found?.hasMore === true && (rows.length < MOST_ROWS
              ? <button type="button" class="button small" disabled={isBusy} onClick={more}>{t("messages.older")}</button>
              : <span class="quiet">{t("messages.narrow")}</span>)}
          </div>
        </>
      )}
    </Panel>
  );
}

function Nothing({ query: { key, begin, end } }: { query: Query }) {
  const t = useTranslate();
  const isAnyTime = begin === undefined && end === undefined;
  if (key !== "") return <Empty title={t(isAnyTime ? "messages.nothing.key" : "messages.nothing.keyInTime", { key })}>{t(isAnyTime ? "messages.nothing.key.hint" : "messages.nothing.time.hint")}</Empty>;
  return isAnyTime
    ? <Empty title={t("messages.nothing.topic")}>{t("messages.nothing.topic.hint")}</Empty>
    : <Empty title={t("messages.nothing.time")}>{t("messages.nothing.time.hint")}</Empty>;
}

function columnsIn(t: Translate): Column<MessageSummary>[] {
  return [
    { id: "time", title: t("messages.time"), width: "152px", cell: (row) => <Link to={pathTo("messages", [addressOf(row)])} title={row.msgId}>{t.time(row.time)}</Link> },
    { id: "queue", title: t("messages.queueOffset"), width: "110px", cell: (row) => <span title={row.topic}>{`${row.queueId}:${row.queueOffset}`}</span> },
    { id: "tag", title: t("messages.tag"), width: "minmax(0, 0.7fr)", cell: ({ tags }) => (tags === undefined ? "–" : <span class="tag" title={tags}>{tags}</span>) },
    { id: "keys", title: t("messages.keys"), cell: ({ keys }) => <span title={keys.join(" ").slice(0, 1000)}>{keys.length === 0 ? "–" : keys.slice(0, 20).join(" ")}</span> },
    { id: "size", title: t("messages.size"), width: "76px", number: true, cell: ({ size }) => t.bytes(size) },
    { id: "body", title: t("messages.body"), width: "minmax(0, 2.4fr)", cell: ({ beginning, isCut }) => <span class="row-body">{isCut ? `${beginning}…` : beginning}</span> },
  ];
}
