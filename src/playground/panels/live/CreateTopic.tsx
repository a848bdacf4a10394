import { useSignal } from "@preact/signals";
import { MQError } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { reasonOf } from "../../../devtools/polled.ts";
import { describedBy, Field } from "../../../devtools/ui/Field.tsx";
import { useWorkshop } from "../../workshop.ts";

/** What is shown in place of the map when there is no such topic. */
export function CreateTopic({ topic, onCreated }: { topic: string; onCreated: () => void }) {
  const { session, announce } = useDevtools();
  const workshop = useWorkshop();
  const t = useTranslate();
  const queues = useSignal("4");
  const error = useSignal<string | undefined>(undefined);
  const create = async (event: Event): Promise<void> => {
    event.preventDefault();
    const count = Number(queues.value);
    try {
      await session.mq.admin.createTopic({ topic, readQueueNums: count, writeQueueNums: count });
      announce(t("live.missing.created", { topic, count }));
      await workshop.refreshTopics();
      onCreated();
    } catch (reason) {
      const isCount = reason instanceof MQError && reason.field?.endsWith("QueueNums");
      error.value = isCount ? t("live.missing.count") : reasonOf(reason);
    }
  };
  return (
    <form class="notice" noValidate onSubmit={(event) => void create(event)}>
      <p>{t("live.missing")}</p>
      <Field id="queue-count" label={t("live.missing.queues")} error={error.value}>
        <input id="queue-count" type="number" min={1} max={128} value={queues.value} onInput={(event) => (queues.value = event.currentTarget.value)} {...describedBy("queue-count", error.value)} />
      </Field>
      <button type="submit" class="button">{t("live.missing.create")}</button>
    </form>
  );
}
