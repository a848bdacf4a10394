import { useTranslate } from "../../context.ts";
import type { Translate } from "../../i18n/translate.ts";
import { TabName } from "../../ui/TabName.tsx";
import type { Rebalance } from "./rebalances.ts";

/** Owners that are named. */
const MOST = 6;

/** What the last rebalance has done. */
export function RebalanceNote({ rebalance }: { rebalance: Rebalance | null }) {
  const t = useTranslate();
  if (rebalance === null) return <p class="rebalance quiet">{t("map.rebalance.none")}</p>;
  const { at, moved, shares, free } = rebalance;
  return (
    <p class="rebalance" key={at} data-moved={moved}>
      <strong>{t("map.rebalance", { count: moved })}</strong>{" "}
      <span class="quiet">{t.time(at)}</span>{" "}
      {shares.slice(0, MOST).map(([clientId, queues]) => <span key={clientId} class="share"><TabName clientId={clientId} /> {t("common.queues", { count: queues })}</span>)}
      {shares.length > MOST && <span class="share quiet">{t("map.more", { count: shares.length - MOST })}</span>}
      {free > 0 && <span class="share">{t("map.rebalance.free", { count: free })}</span>}
    </p>
  );
}

export function rebalanceText(t: Translate, { moved, shares, free }: Rebalance, ownId: string): string {
  const parts = shares.slice(0, MOST).map(([clientId, queues]) => `${clientId === ownId ? t("shell.thisTab") : clientId.slice(0, 4)}: ${t("common.queues", { count: queues })}`);
  return [t("map.rebalance", { count: moved }), ...parts, ...(free > 0 ? [t("map.rebalance.free", { count: free })] : [])].join(" ");
}
