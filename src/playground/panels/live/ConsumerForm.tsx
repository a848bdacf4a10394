import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { describedBy, Field } from "../../../devtools/ui/Field.tsx";
import type { ConsumerWish } from "../../consumers.ts";
import { useWorkshop } from "../../workshop.ts";

interface ConsumerFormProps {
  topic: string;
  group: string;
  onGroup: (group: string) => void;
}

/** What no tag is likely to have in it: `amount > 1`, `region IS NOT NULL`. */
const SQL = /[<>=]|\s(and|or|not|is|in|like|between)\s/i;

/** Starts a consumer of the topic that is looked at. */
export function ConsumerForm({ topic, group, onGroup }: ConsumerFormProps) {
  const { session } = useDevtools();
  const { consumers } = useWorkshop();
  const t = useTranslate();
  const name = useSignal(group);
  const expression = useSignal("*");
  const from = useSignal<ConsumerWish["consumeFromWhere"]>("CONSUME_FROM_FIRST_OFFSET");
  useEffect(() => void (name.value = group), [group]);
  const failure = consumers.startFailure.value;
  const isSql = SQL.test(expression.value);
  const errorOf = (field: string): string | undefined => (failure?.field === field ? failure.sentence : undefined);

  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const wish = { topic, group: name.value.trim(), expression: expression.value, consumeFromWhere: from.value };
    if (await consumers.start(wish)) onGroup(wish.group);
    else form.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  };
  return (
    <form class="stack" noValidate onSubmit={(event) => void start(event)}>
      <div class="pair">
        <Field id="consumer-group" label={t("live.consumer.group")} error={errorOf("group")}>
          <input id="consumer-group" list="map-groups" autocomplete="off" spellcheck={false} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} {...describedBy("consumer-group", errorOf("group"))} />
        </Field>
        <Field id="expression" label={t("live.consumer.expression")} hint={isSql ? t("live.consumer.expression.sql") : undefined} error={errorOf("expression")}>
          <input id="expression" autocomplete="off" spellcheck={false} placeholder="created || paid" value={expression.value} onInput={(event) => (expression.value = event.currentTarget.value)} {...describedBy("expression", errorOf("expression"), isSql)} />
        </Field>
      </div>
      <Field id="from" label={t("live.consumer.from")} hint={t("live.consumer.from.hint")}>
        <select id="from" value={from.value} onChange={(event) => (from.value = event.currentTarget.value as ConsumerWish["consumeFromWhere"])} {...describedBy("from", undefined, true)}>
          <option value="CONSUME_FROM_FIRST_OFFSET">{t("live.consumer.from.first")}</option>
          <option value="CONSUME_FROM_LAST_OFFSET">{t("live.consumer.from.last")}</option>
        </select>
      </Field>
      {failure !== null && failure.field === undefined && <p class="error" role="alert">{failure.sentence}</p>}
      <button type="submit" class="button" disabled={session.phase.value !== "connected"}>{t("live.consumer.start")}</button>
    </form>
  );
}
