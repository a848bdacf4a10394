import { useSignal } from "@preact/signals";
import { checkTopic } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { reasonOf } from "../../polled.ts";
import { pathTo } from "../../router.ts";
import { describedBy, Field } from "../../ui/Field.tsx";
import type { Query } from "./sources.ts";
import { inputTime, timeIn } from "./input-time.ts";

/** A msgId, or an offsetMsgId. */
const ID = /^[0-9A-Fa-f]{32}$/;

interface QueryFormProps {
  query: Query;
  topics: readonly string[];
}

export function QueryForm({ query, topics }: QueryFormProps) {
  const { router } = useDevtools();
  const t = useTranslate();
  const topic = useSignal(query.topic);
  const key = useSignal(query.key);
  const begin = useSignal(inputTime(query.begin));
  const end = useSignal(inputTime(query.end));
  const errors = useSignal<{ topic?: string; end?: string }>({});

  const onSubmit = (event: Event): void => {
    event.preventDefault();
    const [name, wanted] = [topic.value.trim(), key.value.trim()];
    // Nobody means an id who has come here to look for it as a key.
    if (ID.test(wanted) && wanted !== query.key) return router.go(pathTo("messages", [wanted.toUpperCase()]));
    // Only what was changed: a field shows seconds, and the address may hold ms.
    const [from, to] = [timeIn(begin.value, query.begin), timeIn(end.value, query.end)];
    errors.value = { ...topicError(name, t("messages.topic.missing")), ...(from !== undefined && to !== undefined && to < from && { end: t("messages.end.before") }) };
    if (errors.value.topic !== undefined || errors.value.end !== undefined) return;
    router.go(pathTo("messages", [], { topic: name, key: wanted, begin: from?.toString(), end: to?.toString() }));
  };
  return (
    <form class="query" onSubmit={onSubmit}>
      <Field id="query-topic" label={t("messages.topic")} error={errors.value.topic}>
        <input id="query-topic" list="query-topics" autocomplete="off" autocapitalize="none" spellcheck={false} value={topic.value} onInput={(event) => (topic.value = event.currentTarget.value)} {...describedBy("query-topic", errors.value.topic)} />
        <datalist id="query-topics">{topics.map((name) => <option key={name} value={name} />)}</datalist>
      </Field>
      <Field id="query-key" label={t("messages.keyOrId")}>
        <input id="query-key" autocomplete="off" autocapitalize="none" spellcheck={false} value={key.value} onInput={(event) => (key.value = event.currentTarget.value)} {...describedBy("query-key", undefined)} />
      </Field>
      <Field id="query-begin" label={t("messages.begin")}>
        <input id="query-begin" type="datetime-local" step="1" value={begin.value} onInput={(event) => (begin.value = event.currentTarget.value)} {...describedBy("query-begin", undefined)} />
      </Field>
      <Field id="query-end" label={t("messages.end")} error={errors.value.end}>
        <input id="query-end" type="datetime-local" step="1" value={end.value} onInput={(event) => (end.value = event.currentTarget.value)} {...describedBy("query-end", errors.value.end)} />
      </Field>
      <button type="submit" class="button primary">{t("messages.look")}</button>
    </form>
  );
}

function topicError(name: string, missing: string): { topic?: string } {
  if (name === "") return { topic: missing };
  try {
    checkTopic(name, "topic");
    return {};
  } catch (error) {
    return { topic: reasonOf(error) };
  }
}
