import { useSignal } from "@preact/signals";
import { MQError } from "../../index.ts";
import { sentence } from "../format.ts";
import { refreshSoon } from "../lanes.ts";
import { refreshTopics } from "../session.ts";
import { announce, client, topic } from "../state.ts";
import { describedBy, Field } from "./Field.tsx";

/** What is shown in place of the queues when there is no such topic. */
export function CreateTopic() {
  const queues = useSignal("4");
  const error = useSignal<string | undefined>(undefined);
  const create = async (event: Event): Promise<void> => {
    event.preventDefault();
    const name = topic.value;
    const count = Number(queues.value);
    try {
      await client.value?.admin.createTopic({ topic: name, readQueueNums: count, writeQueueNums: count });
      announce(`Topic ${name} has ${count} queues.`);
      await refreshTopics();
      refreshSoon(0);
    } catch (reason) {
      const isCount = reason instanceof MQError && reason.field?.endsWith("QueueNums");
      error.value = isCount ? "A topic has 1 to 128 queues." : sentence((reason as Error).message);
    }
  };
  return (
    <form class="notice" noValidate onSubmit={(event) => void create(event)}>
      <p>There is no topic of this name yet. The first message makes it, with four queues; or make it now.</p>
      <Field id="queue-count" label="Queues" error={error.value}>
        <input id="queue-count" type="number" min={1} max={128} value={queues.value} onInput={(event) => (queues.value = event.currentTarget.value)} {...describedBy("queue-count", error.value)} />
      </Field>
      <button type="submit" class="button">Create the topic</button>
    </form>
  );
}
