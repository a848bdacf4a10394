import { useTranslate } from "../../context.ts";
import { QUOTA_MARKS, quotaRule } from "./quota.ts";

/** How much of the browser's quota is used, and where retention begins to do something about it. */
export function QuotaBar({ usage, quota, share }: { usage: number; quota: number; share: number }) {
  const t = useTranslate();
  const rule = quotaRule(share);
  const text = t("broker.quota.used", { usage: t.bytes(usage), quota: t.bytes(quota), share: percent(share) });
  return (
    <div class="quota">
      <p class="quota-text">{text}</p>
      <div class={`quota-bar ${rule ?? "free"}`} role="meter" aria-label={t("broker.quota")} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share * 100)} aria-valuetext={text}>
        <div class="quota-fill" style={{ width: `${Math.min(100, share * 100)}%` }} />
        {QUOTA_MARKS.map(({ share: at }) => <span key={at} class="quota-mark" style={{ left: `${at * 100}%` }} />)}
      </div>
      <ul class="quota-rules">
        {QUOTA_MARKS.map((mark) => (
          <li key={mark.rule} class={mark.rule === rule ? "current" : undefined} aria-current={mark.rule === rule ? "true" : undefined}>
            <strong>{percent(mark.share)}</strong> {t(`broker.quota.${mark.rule}`)}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** Two figures: of gigabytes a small application uses thousandths. */
function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`;
}
