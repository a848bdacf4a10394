import { useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import { type DraftField, draft, jsonProblem, outcome, send } from "../sender.ts";
import { phase, topic } from "../state.ts";
import { Choice, describedBy, Field } from "./Field.tsx";
import { SendOutcome } from "./SendOutcome.tsx";
import { TopicField } from "./TopicField.tsx";

const COUNTS = [[1, "1"], [10, "10"], [100, "100"]] as const;
const KINDS = [["json", "JSON"], ["text", "Text"]] as const;

export function Compose() {
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
  useSignalEffect(() => {
    draft.topic.value = topic.value;
  });

  const isJson = draft.kind.value === "json";
  const bodyError = errorOf("body") ?? (isJson && hasTried.value ? jsonProblem(draft.body.value) : undefined);
  const text = (field: "tags" | "keys" | "messageGroup") => ({
    id: field,
    name: field,
    value: draft[field].value,
    autocomplete: "off",
    spellcheck: false,
    onInput: (event: Event) => edit(field, event),
    ...describedBy(field, errorOf(field), field === "messageGroup"),
  });
  const edit = (field: Exclude<DraftField, "topic">, event: Event): void => {
    draft[field].value = (event.currentTarget as HTMLInputElement).value;
    if (errorOf(field) !== undefined) outcome.value = { state: "none" };
  };
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    hasTried.value = true;
    void send();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.current?.requestSubmit();
  };

  return (
    <section class="panel" aria-labelledby="compose-title">
      <h2 id="compose-title">Send a message</h2>
      <form ref={form} class="stack" noValidate onSubmit={onSubmit} onKeyDown={onKeyDown}>
        <TopicField error={errorOf("topic")} />
        <Field
          id="body"
          label="Body"
          aside={<Choice name="kind" legend="Kind of body" value={draft.kind.value} options={KINDS} onChoose={(kind) => (draft.kind.value = kind)} />}
          hint={<><code>{"{n}"}</code> in body or keys becomes this tab's running number.</>}
          error={bodyError}
        >
          <textarea
            id="body" name="body" rows={4} spellcheck={false}
            value={draft.body.value}
            onInput={(event) => edit("body", event)}
            {...describedBy("body", bodyError, true)}
          />
        </Field>
        <div class="pair">
          <Field id="tags" label="Tag" error={errorOf("tags")}><input {...text("tags")} /></Field>
          <Field id="keys" label="Keys" error={errorOf("keys")}><input {...text("keys")} /></Field>
        </div>
        <Field id="messageGroup" label="Message group" aside={<span class="aside" id="messageGroup-hint">optional; one group stays in order</span>} error={errorOf("messageGroup")}>
          <input {...text("messageGroup")} />
        </Field>
        <div class="send-row">
          <Choice name="count" legend="How many to send" value={draft.count.value} options={COUNTS} onChoose={(count) => (draft.count.value = count)} />
          <button type="submit" class="button primary" disabled={phase.value === "connecting"} aria-keyshortcuts="Control+Enter Meta+Enter">
            {draft.count.value === 1 ? "Send" : `Send ${draft.count.value}`}
          </button>
        </div>
        <SendOutcome />
      </form>
    </section>
  );
}
