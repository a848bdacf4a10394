import { clearFeed, type FeedRow, otherCount, ownCount, rows, shownRows, showsOthers } from "../feed.ts";
import { bytes, count, milliseconds, time } from "../format.ts";
import { inspected, topic } from "../state.ts";
import { Choice } from "./Field.tsx";
import { Guide } from "./Guide.tsx";
import { TabName } from "./TabName.tsx";

const COLUMNS = [["time", "Time"], ["tab", "Tab"], ["message", "Queue:offset"], ["tag", "Tag"], ["keys", "Keys"], ["body", "Body"], ["after", "After"]] as const;
const WHOSE = [["all", "All tabs"], ["own", "This tab"]] as const;

/** What consumers were given, newest first. */
export function Feed() {
  return (
    <section class="panel" aria-labelledby="feed-title">
      <div class="panel-head">
        <h2 id="feed-title">Received</h2>
        <p class="tally">
          <span>This tab <strong data-figure="own">{count(ownCount.value)}</strong></span>
          <span>Other tabs <strong data-figure="others">{count(otherCount.value)}</strong></span>
        </p>
        {rows.value.length > 0 && (
          <div class="tools">
            <Choice name="whose" legend="Whose messages to show" value={showsOthers.value ? "all" : "own"} options={WHOSE} onChoose={(whose) => (showsOthers.value = whose === "all")} />
            <button type="button" class="button small" onClick={clearFeed}>Clear</button>
          </div>
        )}
      </div>
      {rows.value.length === 0 ? <Guide /> : <Table />}
    </section>
  );
}

function Table() {
  if (shownRows.value.length === 0) return <p class="quiet">This tab has received nothing; other tabs have.</p>;
  return (
    <div class="feed">
      <table role="table" aria-label="Received messages, newest first">
        <thead role="rowgroup">
          <tr role="row">
            {COLUMNS.map(([kind, name]) => <th key={kind} role="columnheader" scope="col" class={`feed-${kind}`}>{name}</th>)}
          </tr>
        </thead>
        <tbody role="rowgroup">{shownRows.value.map((row) => <Row key={row.id} row={row} />)}</tbody>
      </table>
    </div>
  );
}

function Row({ row }: { row: FeedRow }) {
  const place = { topic: row.topic, queueId: row.queueId, offset: row.queueOffset };
  const where = `${row.queueId}:${row.queueOffset}`;
  return (
    <tr role="row" class={row.own ? "own" : ""}>
      <td role="cell" class="feed-time">{time(row.receivedAt)}</td>
      <td role="cell" class="feed-tab" title={`Group ${row.group}`}><TabName clientId={row.clientId} /></td>
      <td role="cell" class="feed-message">
        <button type="button" class="link" title={`${row.topic}, queue ${row.queueId}, offset ${row.queueOffset}`} aria-label={`${where}, open the message`} onClick={() => (inspected.value = place)}>
          {row.topic !== topic.value && <span class="name">{row.topic}</span>}
          {where}
        </button>
      </td>
      <td role="cell" class="feed-tag">{row.tags !== "" && <span class="tag">{row.tags}</span>}</td>
      <td role="cell" class="feed-keys">{row.keys}</td>
      <td role="cell" class="feed-body">{row.body === "" ? <em>{bytes(row.bodyBytes)} of bytes</em> : row.body}</td>
      <td role="cell" class="feed-after" title={`Sent ${time(row.bornAt)}, received ${time(row.receivedAt)}`}>
        {milliseconds(row.receivedAt - row.bornAt)}
        {row.attempt > 1 && <span class="attempt"> try {row.attempt}</span>}
      </td>
    </tr>
  );
}
