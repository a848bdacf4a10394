import type { Translate } from "../../../devtools/i18n/translate.ts";
import type { Machine, Row } from "./report.ts";

export function labelOf(t: Translate, { id }: Row): string {
  return t(`bench.row.${id}`);
}

export function valueOf(t: Translate, { unit }: Row, value: number): string {
  return unit === "rate" ? t("bench.value.rate", { count: Math.round(value) }) : t("bench.value.time", { value: value.toFixed(2) });
}

/** "Chromium 156, Linux · 8 cores · durable (strict)" */
export function placeOf(t: Translate, { browser, cores, durability }: Machine): string {
  return [browser, t("bench.cores", { count: cores }), durability === "strict" ? t("bench.strict") : durability].join(" · ");
}
