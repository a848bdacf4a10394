import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useTranslate } from "../context.ts";
import type { RowAnswers } from "../row-answers.ts";

interface RowAnswerProps<T> {
  of: RowAnswers<T>;
  /** Which row. */
  name: string;
  children: (value: T) => ComponentChildren;
}

/** What the broker says of one row of a list. It is asked while this is rendered, which in a long list means: in sight. */
export function RowAnswer<T>({ of, name, children }: RowAnswerProps<T>) {
  const t = useTranslate();
  useEffect(() => of.watch(name), [of, name]);
  const { value } = of.answer(name);
  return value === undefined ? <span class="quiet" title={t("common.loading")}>…</span> : <>{children(value)}</>;
}
