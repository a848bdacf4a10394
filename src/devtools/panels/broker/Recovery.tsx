import type { Diagnostics } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { Facts } from "../../ui/Facts.tsx";
import { Panel } from "../../ui/Panel.tsx";

/** Damaged ranges that are shown one by one; the report itself names more. */
const MOST_RANGES = 50;

/** What the last start found in the store, in words. */
export function Recovery({ report }: { report: Diagnostics }) {
  const t = useTranslate();
  const { recovery, damaged, lostSends, storage } = report.broker;
  const { loss, lastKnownPosition } = recovery;
  const damage = damaged.length + recovery.moreDamaged;
  const known = report.broker.epoch === 1 ? t("broker.recovery.new") : lastKnownPosition === null ? t("broker.recovery.unknown") : t("broker.recovery.known", { position: lastKnownPosition });
  return (
    <Panel title={t("broker.recovery")}>
      <div class="stack">
        <p class={`outcome ${loss === "none" ? "good" : "bad"}`} data-loss={loss}><strong>{t(`broker.loss.${loss}`)}</strong> {loss === "none" ? "" : t(`broker.loss.${loss}.text`)}</p>
        <Facts facts={[
          [t("broker.recovery.took"), t("broker.recovery.took.text", { time: t.duration(recovery.tookMs), position: recovery.position })],
          [t("broker.recovery.remembered"), storage === "memory" ? "" : known],
          [t("broker.recovery.replayed"), recovery.replayed === 0 ? t("broker.recovery.replayed.none") : t("broker.recovery.replayed.text", { count: recovery.replayed })],
          [t("broker.recovery.rebuilt"), recovery.rebuilt === 0 ? t("common.none") : t("broker.recovery.rebuilt.text", { count: recovery.rebuilt })],
          [t("broker.recovery.lostSends"), lostSends === 0 ? t("common.none") : t("broker.recovery.lostSends.text", { count: lostSends })],
          [t("broker.recovery.damaged"), damage === 0 ? t("broker.recovery.damaged.none") : t("broker.recovery.damaged.text", { count: damage })],
        ]} />
        {damaged.length > 0 && (
          <details>
            <summary>{t("broker.recovery.ranges")}</summary>
            <ul class="ranges">
              {damaged.slice(0, MOST_RANGES).map(({ position, bytes, reason }) => <li key={position}>{t("broker.recovery.range", { position, bytes: t.bytes(bytes), reason })}</li>)}
              {damage > MOST_RANGES && <li class="quiet">{t("broker.more", { count: damage - MOST_RANGES })}</li>}
            </ul>
          </details>
        )}
      </div>
    </Panel>
  );
}
