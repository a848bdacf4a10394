import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useTranslate } from "../../context.ts";
import { tabHue } from "../../ui/tab-hue.ts";
import { TabName } from "../../ui/TabName.tsx";
import { lanePlace } from "./flows.ts";
import { Tape } from "./Tape.tsx";
import type { Lane } from "./topic-view.ts";

/** More queues than this are drawn closer together. */
const ROOMY = 8;
const MIN_BAR_SCALE = 20;
const CHIP_PADDING = 17;
const DIGIT = 8;
const MOST_CHIPS = 24;
const MOST_ARRIVALS = 3;
const FLOOD_ENDS_AFTER = 1500;

interface LanesProps {
  lanes: readonly Lane[];
  onInspect: (queueId: number, offset: number) => void;
}

/** The queues, one row each. Roles are spelled out because the rows become a grid on narrow screens, which would end the table. */
export function Lanes({ lanes, onInspect }: LanesProps) {
  const t = useTranslate();
  const table = useRef<HTMLTableElement>(null);
  const width = useSignal(0);
  const isFast = useFlood(lanes);
  useLayoutEffect(() => {
    const cell = table.current!.querySelector("tbody .tape-cell");
    if (cell === null) return undefined;
    const observer = new ResizeObserver(() => (width.value = cell.clientWidth));
    observer.observe(cell);
    return () => observer.disconnect();
  }, [lanes.length === 0]);

  const isDense = lanes.length > ROOMY;
  const scale = lanes.reduce((most, lane) => Math.max(most, lane.backlog), MIN_BAR_SCALE);
  const digits = String(lanes.reduce((most, lane) => Math.max(most, lane.max), 0)).length;
  const chips = Math.max(4, Math.min(MOST_CHIPS, Math.floor(width.value / Math.max(30, digits * DIGIT + CHIP_PADDING))));
  return (
    <div class={isDense ? "lanes dense" : "lanes"}>
      <table ref={table} role="table" aria-label={t("map.lanes")}>
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col" class="queue-cell">{t("map.queue")}</th>
            <th role="columnheader" scope="col" class="tape-cell">{t("map.newest")}</th>
            <th role="columnheader" scope="col" class="offsets-cell" aria-label={t("map.offsets")}>
              <span class="offsets"><span title={t("map.min.hint")}>{t("map.min")}</span><span title={t("map.consumer.hint")}>{t("map.consumer")}</span><span title={t("map.max.hint")}>{t("map.max")}</span></span>
            </th>
            <th role="columnheader" scope="col" class="backlog-cell">{t("map.backlog")}</th>
            <th role="columnheader" scope="col" class="owner-cell">{t("map.owner")}</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {lanes.map((lane) => <Row key={lane.queueId} lane={lane} chips={chips} scale={scale} isFast={isFast} onInspect={(offset) => onInspect(lane.queueId, offset)} />)}
        </tbody>
      </table>
    </div>
  );
}

/** More messages of a queue at once than can be seen to arrive one by one, now or a moment ago. */
function useFlood(lanes: readonly Lane[]): boolean {
  const known = useRef({ lanes, floodedAt: -Infinity });
  if (known.current.lanes !== lanes) {
    const ends = new Map(known.current.lanes.map(({ queueId, max }) => [queueId, max]));
    const isFlooded = lanes.some(({ queueId, max }) => max - (ends.get(queueId) ?? max) > MOST_ARRIVALS);
    known.current = { lanes, floodedAt: isFlooded ? performance.now() : known.current.floodedAt };
  }
  return performance.now() - known.current.floodedAt < FLOOD_ENDS_AFTER;
}

interface RowProps {
  lane: Lane;
  chips: number;
  scale: number;
  isFast: boolean;
  onInspect: (offset: number) => void;
}

function Row({ lane, chips, scale, isFast, onInspect }: RowProps) {
  const t = useTranslate();
  const { queueId, min, max, consumed, backlog, inflight, owner } = lane;
  return (
    <tr role="row" data-queue={queueId} data-place={lanePlace(queueId)} style={owner === undefined ? {} : { "--tab-hue": tabHue(owner) }}>
      <th role="rowheader" scope="row" class="queue-cell"><span class="narrow-only">{t("map.queue")} </span>{queueId}</th>
      <td role="cell" class="tape-cell"><Tape lane={lane} chips={chips} isFast={isFast} onInspect={onInspect} /></td>
      <td role="cell" class="offsets-cell">
        <dl class="offsets">
          <div title={t("map.min.hint")}><dt>{t("map.min")}</dt><dd data-figure="min">{t.number(min)}</dd></div>
          <div title={t("map.consumer.hint")}><dt>{t("map.consumer")}</dt><dd data-figure="consumer">{consumed === null ? "–" : t.number(consumed)}</dd></div>
          <div title={t("map.max.hint")}><dt>{t("map.max")}</dt><dd data-figure="max">{t.number(max)}</dd></div>
        </dl>
      </td>
      <td role="cell" class="backlog-cell" data-figure="backlog">
        <span class="narrow-only" aria-hidden="true">{t("map.backlog")}</span>
        <span class={backlog > 0 ? "backlog-number waiting" : "backlog-number"}>{consumed === null ? "–" : t.number(backlog)}</span>
        <span class="bar" aria-hidden="true" title={t("map.inflight", { count: inflight })}>
          <span class="bar-waiting" style={{ "--share": backlog / scale }} />
          <span class="bar-inflight" style={{ "--share": Math.min(inflight, backlog) / scale }} />
        </span>
      </td>
      <td role="cell" class="owner-cell" data-owner={owner ?? ""}>
        <span key={owner} class="owner">{owner === undefined ? <span class="nobody">{t("map.nobody")}</span> : <TabName clientId={owner} />}</span>
      </td>
    </tr>
  );
}
