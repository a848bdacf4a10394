import { useSignal } from "@preact/signals";
import { checkTopic, isSystemTopic } from "../../index.ts";
import { sentence } from "../format.ts";
import { draft, outcome } from "../sender.ts";
import { refreshTopics } from "../session.ts";
import { selectTopic, topics } from "../state.ts";
import { describedBy, Field } from "./Field.tsx";

/** Existing topics to choose from, or the name of a new one. Typing alone selects nothing: a half-typed name is no topic. */
export function TopicField({ error: sendError }: { error: string | undefined }) {
  const nameError = useSignal<string | undefined>(undefined);
  const error = sendError ?? nameError.value;
  const choose = (): void => {
    const name = draft.topic.value.trim();
    if (name !== "" && topics.value.some((config) => config.topic === name)) selectTopic(name);
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
      selectTopic(name);
    } catch (reason) {
      nameError.value = sentence((reason as Error).message);
    }
  };
  return (
    <Field id="topic" label="Topic" aside={<kbd aria-hidden="true">/</kbd>} error={error}>
      <input
        id="topic" name="topic" list="topics" autocomplete="off" autocapitalize="none" spellcheck={false}
        value={draft.topic.value}
        aria-keyshortcuts="/"
        onFocus={() => void refreshTopics()}
        onInput={onInput}
        onChange={choose}
        onKeyDown={onKeyDown}
        {...describedBy("topic", error)}
      />
      <datalist id="topics">
        {topics.value.filter(({ topic }) => !isSystemTopic(topic)).map(({ topic }) => <option key={topic} value={topic} />)}
      </datalist>
    </Field>
  );
}
