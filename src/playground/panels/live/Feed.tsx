import { useMemo } from "preact/hooks";
import { useTranslate } from "../../../devtools/context.ts";
import type { Translate } from "../../../devtools/i18n/translate.ts";
import type { Place } from "../../../devtools/panels/map/LiveMap.tsx";
import { Choice } from "../../../devtools/ui/Field.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { TabName } from "../../../devtools/ui/TabName.tsx";
import type { FeedRow } from "../../feed.ts";
import { useWorkshop } from "../../workshop.ts";
import { Guide } from "./Guide.tsx";

interface FeedProps {
  topic: string;
  onInspect: (place: Place) => void;
}

/** What consumers were given, newest first. */
export function Feed({ topic, onInspect }: FeedProps) {
  const { feed } = useWorkshop();
  const t = useTranslate();
  const { rows, shown, showsOthers } = feed;
  const whose = [["all", t("live.feed.all")], ["own", t("live.feed.own")]] as const;
  const tools = (
    <>
      <Tally />
      {rows.value.length > 0 && (
        <>
          <Choice name="whose" legend={t("live.feed.whose")} value={showsOthers.value ? "all" : "own"} options={whose} onChoose={(one) => (showsOthers.value = one === "all")} />
          <button type="button" class="button small" onClick={() => feed.clear()}>{t("live.feed.clear")}</button>
        </>
      )}
    </>
  );
  return (
    <Panel title={t("live.feed")} tools={tools}>
      {rows.value.length === 0 ? <Guide /> : shown.value.length === 0 ? <p class="quiet">{t("live.feed.onlyOthers")}</p> : <Table rows={shown.value} topic={topic} onInspect={onInspect} />}
    </Panel>
  );
}

function Tally() {
  const { feed: { ownCount, otherCount } } = useWorkshop();
  const t = useTranslate();
  return (
    <p class="tally">
      <span>{t("live.feed.own")} <strong data-figure="own">{t.number(ownCount.value)}</strong></span>
      <span>{t("live.feed.others")} <strong data-figure="others">{t.number(otherCount.value)}</strong></span>
    </p>
  );
}

function Table({ rows, topic, onInspect }: FeedProps & { rows: readonly FeedRow[] }) {
  const t = useTranslate();
  const columns = [
    ["time", t("live.feed.time")], ["tab", t("live.feed.tab")], ["message", t("live.feed.message")], ["tag", t("live.tag")],
    ["keys", t("live.keys")], ["body", t("live.body")], ["after", t("live.feed.after")],
  ] as const;
  return (
    <div class="feed">
      <table role="table" aria-label={t("live.feed.table")}>
        <thead role="rowgroup">
          <tr role="row">{columns.map(([kind, name]) => <th key={kind} role="columnheader" scope="col" class={`feed-${kind}`}>{name}</th>)}</tr>
        </thead>
        <tbody role="rowgroup">{rows.map((row) => <Row key={row.id} row={row} topic={topic} onInspect={onInspect} />)}</tbody>
      </table>
    </div>
  );
}

/** A row never changes: it is made once, and what scrolls by costs nothing more. */
function Row({ row, topic, onInspect }: FeedProps & { row: FeedRow }) {
  const t = useTranslate();
  return useMemo(() => drawn(t, row, topic, onInspect), [t, row, topic]);
}

function drawn(t: Translate, row: FeedRow, topic: string, onInspect: FeedProps["onInspect"]) {
  const { queueId, queueOffset: offset } = row;
  const where = `${queueId}:${offset}`;
  return (
    <tr role="row" class={row.failed > 0 ? "failed" : ""}>
      <td role="cell" class="feed-time">{t.time(row.receivedAt)}</td>
      <td role="cell" class="feed-tab" title={t("map.group", { group: row.group })}><TabName clientId={row.clientId} /></td>
      <td role="cell" class="feed-message">
        <button
          type="button" class="link" title={t("live.feed.place", { topic: row.topic, queue: queueId, offset })}
          aria-label={t("live.feed.open", { place: where })} onClick={() => onInspect({ topic: row.topic, queueId, offset })}
        >
          {row.topic !== topic && <span class="name">{row.topic}</span>}
          {where}
        </button>
      </td>
      <td role="cell" class="feed-tag">{row.tags !== "" && <span class="tag">{row.tags}</span>}</td>
      <td role="cell" class="feed-keys">{row.keys}</td>
      <td role="cell" class="feed-body">{row.body === "" ? <em>{t("live.feed.bytes", { size: t.bytes(row.bodyBytes) })}</em> : row.body}</td>
      <td role="cell" class="feed-after" title={t("live.feed.times", { sent: t.time(row.bornAt), received: t.time(row.receivedAt) })}>
        {t.duration(row.receivedAt - row.bornAt)}
        {row.attempt > 1 && <span class="attempt"> {t("live.feed.try", { count: row.attempt })}</span>}
        {row.failed > 0 && <span class="failed-mark"> {t("live.feed.failed")}</span>}
      </td>
    </tr>
  );
}
