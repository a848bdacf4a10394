import type { BrokerStats, Diagnostics } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { Facts } from "../../ui/Facts.tsx";
import { Panel } from "../../ui/Panel.tsx";

/** Which broker this is, and what goes through it. */
export function Overview({ report, stats }: { report: Diagnostics; stats: BrokerStats }) {
  const t = useTranslate();
  const { broker } = report;
  return (
    <Panel title={t("broker.title")} eyebrow={t("broker.eyebrow", { namespace: report.namespace })}>
      <dl class="figures">
        <Figure name={t("broker.messages")} value={t.number(stats.messages)} note={t("broker.inTopics", { count: stats.topics })} />
        <Figure name={t("broker.put")} value={perSecond(t, stats.putTps)} unit={t("broker.perSecond")} note={t("broker.since", { count: stats.putMessages, bytes: t.bytes(stats.putBytes) })} />
        <Figure name={t("broker.get")} value={perSecond(t, stats.getTps)} unit={t("broker.perSecond")} note={t("broker.since", { count: stats.getMessages, bytes: t.bytes(stats.getBytes) })} />
        <Figure name={t("broker.uptime")} value={uptime(t, Date.now() - stats.bootTimestamp)} note={t("broker.commits", { count: stats.commits })} />
        <Figure name={t("broker.clients")} value={t.number(stats.clients)} note={t("broker.groups", { count: stats.groups })} />
      </dl>
      <Facts facts={[
        [t("broker.host"), t(`broker.host.${broker.storage}`)],
        [t("broker.epoch"), t("broker.epoch.text", { epoch: broker.epoch })],
        [t("broker.incarnation"), <code key="incarnation">{broker.incarnation}</code>],
        [t("broker.library"), t("broker.library.text", { lib: broker.lib, protocol: report.protocol })],
        [t("broker.indexer"), t(`broker.indexer.${broker.indexer}`)],
        [t("broker.encryption"), t(broker.encrypted ? "broker.encryption.on" : "broker.encryption.off")],
        [t("broker.calls"), t("broker.calls.text", { calls: broker.calls, violations: broker.violations })],
      ]} />
    </Panel>
  );
}

interface FigureProps {
  name: string;
  value: string;
  unit?: string;
  note: string;
}

function Figure({ name, value, unit, note }: FigureProps) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}{unit !== undefined && <small>{unit}</small>}</dd>
      <dd class="figure-note">{note}</dd>
    </div>
  );
}

/** Whole seconds: it is looked at again and again. */
function uptime(t: ReturnType<typeof useTranslate>, ms: number): string {
  return ms < 100_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : t.duration(ms);
}

/** Below ten a rate over ten seconds has tenths. */
function perSecond(t: ReturnType<typeof useTranslate>, rate: number): string {
  return t.number(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate));
}
