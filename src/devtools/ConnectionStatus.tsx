import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useDevtools, useTranslate } from "./context.ts";
import { TabName } from "./ui/TabName.tsx";

const ASK_EVERY = 2000;

/** Which broker, how durable, and which of its clients this is. */
export function ConnectionStatus() {
  const { session } = useDevtools();
  const t = useTranslate();
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) void session.refresh();
    }, ASK_EVERY);
    return () => clearInterval(timer);
  }, []);
  const report = session.diagnostics.value;
  const client = session.client.value;
  const phase = session.phase.value;
  return (
    <dl class="status">
      <Item name={t("connection.broker")}><span class={`phase ${phase}`} role="status">{t(`connection.${phase}`)}</span></Item>
      <Item name={t("connection.namespace")}><span class="namespace" title={session.namespace}>{session.namespace}</span></Item>
      <Item name={t("shell.thisTab")}>{client === null ? "–" : <TabName clientId={client.clientId} always />}</Item>
      <Item name={t("connection.tabs")} hint={t("connection.tabs.hint")}>{report === null ? "–" : t.number(report.broker.sessions)}</Item>
      <Item name={t("connection.epoch")} hint={t("connection.epoch.hint")}>{report === null ? "–" : t.number(report.broker.epoch)}</Item>
      <Item name={t("connection.durability")}>
        {report === null ? "–" : report.durability === "memory" ? <span class="warn">{t("connection.memory")}</span> : t(report.durability === "strict" ? "connection.durable" : "connection.relaxed")}
      </Item>
    </dl>
  );
}

function Item({ name, hint, children }: { name: string; hint?: string; children: ComponentChildren }) {
  return (
    <div title={hint}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
