import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import type { Place } from "../../../devtools/panels/map/LiveMap.tsx";
import { BodyField, Choice, TextField } from "../../../devtools/ui/Field.tsx";
import type { DraftField } from "../../sender.ts";
import { useWorkshop } from "../../workshop.ts";
import { SendOutcome } from "./SendOutcome.tsx";
import { StreamControl } from "./StreamControl.tsx";
import { TopicField } from "./TopicField.tsx";

const COUNTS = [[1, "1"], [10, "10"], [100, "100"]] as const;

interface ComposeProps {
  topic: string;
  onTopic: (topic: string) => void;
  onInspect: (place: Place) => void;
}

export function Compose({ topic, onTopic, onInspect }: ComposeProps) {
  const { session } = useDevtools();
  const workshop = useWorkshop();
  const { sender, stream } = workshop;
  const t = useTranslate();
  const title = useId();
  const { draft, outcome } = sender;
  const form = useRef<HTMLFormElement>(null);
  // Not sooner, and not when the field is left: an error that appears under the mouse moves the button away from its click.
  const hasTried = useSignal(false);
  const result = outcome.value;
  const errorOf = (field: DraftField): string | undefined => (result.state === "failed" && result.field === field ? result.sentence : undefined);

  // The field that is wrong is where the user wants to be.
  useSignalEffect(() => {
    const { value } = outcome;
    if (value.state === "failed" && value.field !== undefined) form.current?.querySelector<HTMLElement>(`[name=${value.field}]`)?.focus();
  });
  useEffect(() => void (draft.topic.value = topic), [topic]);

  const isJson = draft.kind.value === "json";
  const bodyError = errorOf("body") ?? (isJson && hasTried.value ? sender.problemOf(draft.body.value) : undefined);
  const edit = (field: Exclude<DraftField, "topic">, event: Event): void => {
    draft[field].value = (event.currentTarget as HTMLInputElement).value;
    if (errorOf(field) !== undefined) outcome.value = { state: "none" };
  };
  const text = (field: "tags" | "keys" | "messageGroup") => ({
    id: field,
    name: field,
    value: draft[field].value,
    error: errorOf(field),
    onInput: (event: Event) => edit(field, event),
  });
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    hasTried.value = true;
    void sender.send(onTopic).then(() => workshop.refreshTopics());
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.current?.requestSubmit();
  };

  return (
    <section class="panel" aria-labelledby={title}>
      <form ref={form} class="compose" noValidate onSubmit={onSubmit} onKeyDown={onKeyDown}>
        <div class="compose-title">
          <h2 id={title}>{t("live.compose")}</h2>
          <p class="quiet">{t("live.about")}</p>
        </div>
        <div class="compose-topic"><TopicField error={errorOf("topic")} onTopic={onTopic} /></div>
        <div class="compose-body">
          <BodyField
            id="body" label={t("live.body")} hint={t("live.body.hint", { n: "{n}" })} error={bodyError} rows={3} value={draft.body.value} onInput={(event) => edit("body", event)}
            kind={draft.kind.value} legend={t("live.body.kind")} text={t("live.body.text")} onKind={(kind) => (draft.kind.value = kind)}
          />
        </div>
        <div class="compose-tags"><TextField label={t("live.tag")} {...text("tags")} /></div>
        <div class="compose-keys"><TextField label={t("live.keys")} {...text("keys")} /></div>
        <div class="compose-group">
          <TextField label={t("live.messageGroup")} aside={<span class="aside" id="messageGroup-hint">{t("live.messageGroup.hint")}</span>} isHintAside {...text("messageGroup")} />
        </div>
        <div class="compose-actions">
          <Choice name="count" legend={t("live.count")} value={draft.count.value} options={COUNTS} onChoose={(count) => (draft.count.value = count)} />
          <button type="submit" class="button primary send" disabled={session.phase.value === "connecting"} aria-keyshortcuts="Control+Enter Meta+Enter">
            {draft.count.value === 1 ? t("live.send") : t("live.send.many", { count: draft.count.value })}
          </button>
          <StreamControl stream={stream} onTopic={onTopic} />
          <SendOutcome outcome={result} onInspect={onInspect} />
        </div>
      </form>
    </section>
  );
}
