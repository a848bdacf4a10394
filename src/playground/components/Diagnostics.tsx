import type { ComponentChildren } from "preact";
import type { DamagedRange, Diagnostics as Report } from "../../index.ts";
import { bytes, count, counted, milliseconds } from "../format.ts";
import { diagnostics } from "../state.ts";

const MOST_RANGES = 20;

export function Diagnostics() {
  const report = diagnostics.value;
  return (
    <details class="panel disclosure">
      <summary><h2>Diagnostics</h2></summary>
      {report === null ? <p class="quiet">No broker has answered yet.</p> : <Details report={report} />}
    </details>
  );
}

function Details({ report }: { report: Report }) {
  const { broker, usage, quota, persisted, durability } = report;
  const { recovery, damaged } = broker;
  return (
    <>
      <dl class="diagnostics">
        <Item name="Last start">
          {counted(recovery.replayed, "record")} replayed in {milliseconds(recovery.tookMs)}{recovery.rebuilt > 0 && <>, {counted(recovery.rebuilt, "page")} rebuilt</>}; the log went on at position {count(recovery.position)}
        </Item>
        <Item name="Log">
          Durable up to position {count(broker.durablePosition)}
          {broker.position > broker.durablePosition && <>, {count(broker.position - broker.durablePosition)} bytes on their way</>}
        </Item>
        <Item name="Lost by the browser">{lost(recovery)}</Item>
        <Item name="Commits since the start">{count(broker.commits)}</Item>
        <Item name="Damage">{damaged.length === 0 ? "None found" : <Damage ranges={damaged} />}</Item>
        <Item name="Storage">
          {usage === undefined || quota === undefined ? "The browser does not say" : `${bytes(usage)} used of ${bytes(quota)} for this origin`}
        </Item>
        <Item name="Kept by the browser">{keeps(durability, persisted)}</Item>
        <Item name="Illegal calls refused">{count(broker.violations)}</Item>
        <Item name="Library">{broker.lib}</Item>
        <Item name="Broker's life"><code>{broker.incarnation}</code></Item>
        <Item name="Settings"><code>{JSON.stringify(report.settings)}</code></Item>
      </dl>
    </>
  );
}

function lost({ loss, lastKnownPosition }: Report["broker"]["recovery"]): string {
  if (loss === "none") return lastKnownPosition === null ? "No tab remembers an earlier start" : "Nothing that tabs remember";
  return `${loss === "total" ? "The whole database" : "The newest part of the log"}; it was known to reach position ${count(lastKnownPosition ?? 0)}`;
}

function keeps(durability: Report["durability"], persisted: boolean | undefined): string {
  if (durability === "memory") return "No: everything is gone when the last tab closes";
  if (persisted === undefined) return "The browser does not say";
  return persisted ? "Yes, it has promised not to evict this origin's data" : "Not promised: it may evict the data when the disk is full";
}

function Damage({ ranges }: { ranges: DamagedRange[] }) {
  return (
    <ul>
      {ranges.slice(0, MOST_RANGES).map(({ position, bytes: length, reason }) => (
        <li key={position}>{count(length)} bytes at position {count(position)}: {reason}</li>
      ))}
      {ranges.length > MOST_RANGES && <li>{count(ranges.length - MOST_RANGES)} more</li>}
    </ul>
  );
}

function Item({ name, children }: { name: string; children: ComponentChildren }) {
  return <div><dt>{name}</dt><dd>{children}</dd></div>;
}
