import { useSignal } from "@preact/signals";
import type { BrokerStats, Diagnostics } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { reasonOf } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { Facts } from "../../ui/Facts.tsx";
import { Link } from "../../ui/Link.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { isQuotaKnown, quotaRule, usedShare } from "./quota.ts";
import { QuotaBar } from "./QuotaBar.tsx";

/** Where messages are, how safe, how much room is left, and what makes room. */
export function Storage({ report, stats, onChange }: { report: Diagnostics; stats: BrokerStats; onChange: () => void }) {
  const t = useTranslate();
  const { usage, quota, durability, broker: { retention, timers, transactions, cacheBytes } } = report;
  return (
    <Panel title={t("broker.storage")}>
      <div class="stack">
        {(report.broker.storageFull || quotaRule(usedShare(report)) === "refused") && <Full />}
        {isQuotaKnown(report)
          ? <QuotaBar usage={usage!} quota={quota!} share={usedShare(report)} />
          : <p class="quiet">{usage === undefined ? t("broker.quota.unknown") : t.rich("broker.quota.unknownRoom", { usage: t.bytes(usage), size: <Setting name="maxStoreBytes" /> })}</p>}
        <Facts facts={[
          [t("broker.durability"), t(`broker.durability.${durability}`)],
          [t("broker.log"), t("broker.log.text", { bytes: t.bytes(stats.bytes), from: retention.minPosition, to: report.broker.durablePosition })],
          [t("broker.reserved"), t("broker.reserved.text", { time: t.duration(report.settings.fileReservedTime) })],
          [t("broker.removed"), retention.removedMessages === 0 ? t("broker.removed.none") : t("broker.removed.text", { count: retention.removedMessages, bytes: t.bytes(retention.removedBytes) })],
          [t("broker.timers"), timers.pending > 0 && t("broker.timers.text", { count: timers.pending, bytes: t.bytes(timers.indexBytes) })],
          [t("broker.transactions"), transactions.pending > 0 && t("broker.transactions.text", { count: transactions.pending, age: t.duration(transactions.oldestAge) })],
          [t("broker.caches"), t("broker.caches.text", { bytes: t.bytes(cacheBytes) })],
        ]} />
        {durability !== "memory" && <Persistence persisted={report.persisted} onChange={onChange} />}
      </div>
    </Panel>
  );
}

/** Nothing more can be sent: what still works, and what makes room. */
function Full() {
  const t = useTranslate();
  return (
    <div class="outcome bad" role="alert" data-full>
      <p><strong>{t("broker.full")}</strong> {t("broker.full.text")}</p>
      <p>{t.rich("broker.full.mend", { size: <Setting name="maxStoreBytes" />, time: <Setting name="fileReservedTime" /> })}</p>
    </div>
  );
}

/** Leads to where it is changed. */
function Setting({ name }: { name: string }) {
  return <Link to={pathTo("broker", [], { setting: name })}><code>{name}</code></Link>;
}

/** Whether the browser may throw it all away when the disk is full. */
function Persistence({ persisted, onChange }: { persisted: boolean | undefined; onChange: () => void }) {
  const { session, announce } = useDevtools();
  const t = useTranslate();
  const answer = useSignal("");
  const ask = async (): Promise<void> => {
    try {
      answer.value = (await session.mq.admin.persistStorage()) ? t("broker.persist.granted") : t("broker.persist.refused");
      announce(answer.value);
      onChange();
    } catch (error) {
      answer.value = reasonOf(error);
    }
  };
  const state = persisted === undefined ? "unknown" : persisted ? "yes" : "no";
  return (
    <div class={`outcome ${state === "yes" ? "good" : state === "no" ? "warn" : ""}`} data-persisted={state}>
      <div class="persist">
        <p><strong>{t(`broker.persist.${state}`)}</strong> {t(`broker.persist.${state}.text`)}</p>
        {persisted !== true && <button type="button" class="button small" onClick={() => void ask()}>{t("broker.persist.ask")}</button>}
      </div>
      {answer.value !== "" && <p role="status">{answer.value}</p>}
    </div>
  );
}
