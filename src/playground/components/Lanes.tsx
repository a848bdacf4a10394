import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { count } from "../format.ts";
import type { Lane } from "../lanes.ts";
import { tabHue } from "../tab-name.ts";
import { TabName } from "./TabName.tsx";
import { Tape } from "./Tape.tsx";

/** More queues than this are drawn closer together. */
const ROOMY = 8;
const MIN_BAR_SCALE = 20;
const CHIP_PADDING = 17;
const DIGIT = 8;
const MOST_CHIPS = 24;

/** The queues, one row each. Roles are spelled out because the rows become a grid on narrow screens, which would end the table. */
export function Lanes({ lanes }: { lanes: Lane[] }) {
  const table = useRef<HTMLTableElement>(null);
  const width = useSignal(0);
  useLayoutEffect(() => {
    const cell = table.current!.querySelector("tbody .tape-cell")!;
    const observer = new ResizeObserver(() => (width.value = cell.clientWidth));
    observer.observe(cell);
    return () => observer.disconnect();
  }, [lanes.length === 0]);

  const scale = lanes.reduce((most, lane) => Math.max(most, lane.backlog), MIN_BAR_SCALE);
  const digits = String(lanes.reduce((most, lane) => Math.max(most, lane.max), 0)).length;
  const chips = Math.max(4, Math.min(MOST_CHIPS, Math.floor(width.value / Math.max(30, digits * DIGIT + CHIP_PADDING))));
  return (
    <div class={lanes.length > ROOMY ? "lanes dense" : "lanes"}>
      <table ref={table} role="table" aria-label="Queues">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col">Queue</th>
            <th role="columnheader" scope="col">Owner</th>
            <th role="columnheader" scope="col" class="tape-cell">Newest messages, by offset</th>
            <th role="columnheader" scope="col" class="number" title="The oldest offset that can still be read">Min</th>
            <th role="columnheader" scope="col" class="number" title="The group's consumer offset: everything before it is consumed">Consumer</th>
            <th role="columnheader" scope="col" class="number" title="The offset that the next message gets">Max</th>
            <th role="columnheader" scope="col" class="backlog-cell">Backlog</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {lanes.map((lane) => <Row key={lane.queueId} lane={lane} chips={chips} scale={scale} />)}
        </tbody>
      </table>
    </div>
  );
}

function Row({ lane, chips, scale }: { lane: Lane; chips: number; scale: number }) {
  const { queueId, min, max, consumed, backlog, inflight, owner } = lane;
  return (
    <tr role="row" data-queue={queueId} style={owner === undefined ? {} : { "--tab-hue": tabHue(owner) }}>
      <th role="rowheader" scope="row" class="queue-cell"><span class="narrow-only">Queue </span>{queueId}</th>
      <td role="cell" class="owner-cell" data-owner={owner ?? ""}>{owner === undefined ? <span class="nobody">Nobody</span> : <TabName clientId={owner} />}</td>
      <td role="cell" class="tape-cell"><Tape lane={lane} chips={chips} /></td>
      <td role="cell" class="number" data-figure="min"><Caption text="Min" />{count(min)}</td>
      <td role="cell" class="number" data-figure="consumer"><Caption text="Consumer" />{consumed === null ? "–" : count(consumed)}</td>
      <td role="cell" class="number" data-figure="max"><Caption text="Max" />{count(max)}</td>
      <td role="cell" class="backlog-cell" data-figure="backlog">
        <Caption text="Backlog" />
        <span class={backlog > 0 ? "backlog-number waiting" : "backlog-number"}>{consumed === null ? "–" : count(backlog)}</span>
        <span class="bar" aria-hidden="true" title={`${count(inflight)} of them in a consumer's hands`}>
          <span class="bar-waiting" style={{ "--share": backlog / scale }} />
          <span class="bar-inflight" style={{ "--share": Math.min(inflight, backlog) / scale }} />
        </span>
      </td>
    </tr>
  );
}

/** The column's name, where a narrow screen has no head row. */
function Caption({ text }: { text: string }) {
  return <span class="caption" aria-hidden="true">{text}</span>;
}
