import { useSignal, useSignalEffect } from "@preact/signals";
import { type ConsumerWish, startConsumer, startFailure } from "../consumers.ts";
import { group, phase, topic } from "../state.ts";
import { describedBy, Field } from "./Field.tsx";

/** Starts a consumer of the selected topic. */
export function ConsumerForm() {
  const name = useSignal(group.peek());
  const expression = useSignal("*");
  const from = useSignal<ConsumerWish["consumeFromWhere"]>("CONSUME_FROM_FIRST_OFFSET");
  useSignalEffect(() => {
    name.value = group.value;
  });
  const failure = startFailure.value;
  const errorOf = (field: string): string | undefined => (failure?.field === field ? failure.sentence : undefined);

  const start = async (event: Event): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const wish = { topic: topic.value, group: name.value.trim(), expression: expression.value, consumeFromWhere: from.value };
    if (await startConsumer(wish)) group.value = wish.group;
    else form.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  };
  return (
    <form class="stack" noValidate onSubmit={(event) => void start(event)}>
      <div class="pair">
        <Field id="consumer-group" label="Group" error={errorOf("group")}>
          <input id="consumer-group" list="groups" autocomplete="off" spellcheck={false} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} {...describedBy("consumer-group", errorOf("group"))} />
        </Field>
        <Field id="expression" label="Tag expression" error={errorOf("expression")}>
          <input id="expression" autocomplete="off" spellcheck={false} placeholder="created || paid" value={expression.value} onInput={(event) => (expression.value = event.currentTarget.value)} {...describedBy("expression", errorOf("expression"))} />
        </Field>
      </div>
      <Field id="from" label="A new group begins at" hint="Each group gets every message once; the members of one group share them.">
        <select id="from" value={from.value} onChange={(event) => (from.value = event.currentTarget.value as ConsumerWish["consumeFromWhere"])} {...describedBy("from", undefined, true)}>
          <option value="CONSUME_FROM_FIRST_OFFSET">the first message</option>
          <option value="CONSUME_FROM_LAST_OFFSET">the next message</option>
        </select>
      </Field>
      {failure !== null && failure.field === undefined && <p class="error" role="alert">{failure.sentence}</p>}
      <button type="submit" class="button" disabled={phase.value !== "connected"}>Start consumer</button>
    </form>
  );
}
