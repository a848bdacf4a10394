import { useSignal } from "@preact/signals";
import { checkTopic } from "../../../index.ts";
import { useTranslate } from "../../../devtools/context.ts";
import { reasonOf } from "../../../devtools/polled.ts";
import { topicKind } from "../../../devtools/topic-kind.ts";
import { describedBy, Field } from "../../../devtools/ui/Field.tsx";
import { useWorkshop } from "../../workshop.ts";

interface TopicFieldProps {
  error: string | undefined;
  onTopic: (topic: string) => void;
}

/** Existing topics to choose from, or the name of a new one. Typing alone selects nothing: a half-typed name is no topic. */
export function TopicField({ error: sendError, onTopic }: TopicFieldProps) {
  const workshop = useWorkshop();
  const t = useTranslate();
  const { draft, outcome } = workshop.sender;
  const nameError = useSignal<string | undefined>(undefined);
  const error = sendError ?? nameError.value;
  const topics = workshop.topics.value;
  const choose = (): void => {
    const name = draft.topic.value.trim();
    if (name !== "" && topics.some((config) => config.topic === name)) onTopic(name);
  };
  const onInput = (event: Event): void => {
    draft.topic.value = (event.currentTarget as HTMLInputElement).value;
    nameError.value = undefined;
    if (sendError !== undefined) outcome.value = { state: "none" };
    // What was picked from the list did not come from typing.
    if (!(event instanceof InputEvent) || event.inputType === "insertReplacementText") choose();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Enter" || event.ctrlKey || event.metaKey) return;
    // Enter chooses the topic; sending is what the other fields' Enter is for.
    event.preventDefault();
    const name = draft.topic.value.trim();
    try {
      checkTopic(name);
      onTopic(name);
    } catch (reason) {
      nameError.value = reasonOf(reason);
    }
  };
  return (
    <Field id="topic" label={t("live.topic")} aside={<kbd aria-hidden="true">/</kbd>} error={error}>
      <input
        id="topic" name="topic" list="topics" autocomplete="off" autocapitalize="none" spellcheck={false}
        value={draft.topic.value}
        aria-keyshortcuts="/"
        onFocus={() => void workshop.refreshTopics()}
        onInput={onInput}
        onChange={choose}
        onKeyDown={onKeyDown}
        {...describedBy("topic", error)}
      />
      <datalist id="topics">
        {topics.filter(({ topic }) => topicKind(topic) === "own").map(({ topic }) => <option key={topic} value={topic} />)}
      </datalist>
    </Field>
  );
}
