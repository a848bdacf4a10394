import type { ComponentChildren } from "preact";
import { useTranslate } from "../context.ts";
import type { Polled } from "../polled.ts";

interface AnswerProps<T> {
  of: Polled<T>;
  children: (value: T) => ComponentChildren;
}

/** What the broker was asked: on its way, here, or why not. An older answer stays while a newer one fails. */
export function Answer<T>({ of, children }: AnswerProps<T>) {
  const t = useTranslate();
  const { value: { value }, problem: { value: problem } } = of;
  return (
    <>
      {problem !== "" && <p class="outcome bad" role="alert">{t("common.failed", { reason: problem })}</p>}
      {value === undefined ? problem === "" && <p class="quiet" role="status">{t("common.loading")}</p> : children(value)}
    </>
  );
}

/** Where there is nothing to show: what would be here, and how it comes here. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p><strong>{title}</strong></p>
      {children !== undefined && <p class="quiet">{children}</p>}
    </div>
  );
}

export function Progress({ label, value, max }: { label: string; value?: number | undefined; max?: number }) {
  return (
    <label class="progress">
      <span>{label}</span>
      <progress max={max ?? 1} {...(value === undefined ? {} : { value })} />
    </label>
  );
}
