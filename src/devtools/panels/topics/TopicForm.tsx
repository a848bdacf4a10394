import { type MessageType, type TopicConfig, type TopicSpec } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { FieldProblem, numberOf, useSubmit, valueOf } from "../../submit.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { describedBy, Field } from "../../ui/Field.tsx";
import { permKey } from "./perm.ts";

const TYPES: readonly MessageType[] = ["MIXED", "NORMAL", "FIFO", "DELAY", "TRANSACTION", "PRIORITY"];
const PERMS = [6, 4, 2, 0] as const;
const FIELDS = ["topic", "readQueueNums", "writeQueueNums", "perm", "messageType"] as const;

interface TopicFormProps {
  /** Topics there are: to create one of them would change it. */
  known?: readonly TopicConfig[];
  /** Instead: this one is changed. */
  config?: TopicConfig;
  /** The new one's, to begin with. */
  name?: string;
  onDone: (topic: string) => void;
  onClose: () => void;
}

/** A topic's settings, of a new one or of one there is. */
export function TopicForm({ known = [], config, name = "", onDone, onClose }: TopicFormProps) {
  const { announce, session } = useDevtools();
  const t = useTranslate();
  const { isBusy, problems, onSubmit } = useSubmit(FIELDS, async (form) => {
    const topic = config?.topic ?? valueOf(form, "topic").trim();
    if (config === undefined && known.some((one) => one.topic === topic)) throw new FieldProblem("topic", t("topics.exists"));
    const spec: Required<TopicSpec> = {
      topic, readQueueNums: numberOf(form, "readQueueNums", t), writeQueueNums: numberOf(form, "writeQueueNums", t), perm: numberOf(form, "perm", t), messageType: valueOf(form, "messageType") as MessageType,
    };
    // The broker says so too, in the wire's names.
    if (spec.readQueueNums >= 1 && spec.writeQueueNums > spec.readQueueNums) throw new FieldProblem("writeQueueNums", t("topics.write.most", { count: spec.readQueueNums }));
    await session.mq.admin.createTopic(spec);
    announce(t(config === undefined ? "topics.created" : "topics.changed", { topic }));
    onClose();
    onDone(topic);
  });
  const wrong = problems.value;
  const queues = session.diagnostics.value?.settings.defaultTopicQueueNums ?? 4;
  return (
    <Dialog title={config === undefined ? t("topics.create") : t("topics.change.title")} onClose={onClose}>
      <form class="stack" onSubmit={onSubmit} noValidate>
        {config === undefined ? (
          <Field id="topic-name" label={t("topics.name")} hint={t("topics.name.hint")} error={wrong.topic}>
            <input id="topic-name" name="topic" defaultValue={name} autocomplete="off" autocapitalize="none" spellcheck={false} {...describedBy("topic-name", wrong.topic, true)} />
          </Field>
        ) : <p class="long-name">{config.topic}</p>}
        <div class="pair">
          <Field id="topic-read" label={t("topics.read")} error={wrong.readQueueNums}>
            <input id="topic-read" name="readQueueNums" type="number" min="1" max="128" defaultValue={String(config?.readQueueNums ?? queues)} {...describedBy("topic-read", wrong.readQueueNums)} />
          </Field>
          <Field id="topic-write" label={t("topics.write")} error={wrong.writeQueueNums}>
            <input id="topic-write" name="writeQueueNums" type="number" min="1" max="128" defaultValue={String(config?.writeQueueNums ?? queues)} {...describedBy("topic-write", wrong.writeQueueNums)} />
          </Field>
        </div>
        {config !== undefined && <p class="hint">{t("topics.shrink.hint")}</p>}
        <div class="pair">
          <Field id="topic-perm" label={t("topics.perm")} error={wrong.perm}>
            <select id="topic-perm" name="perm" {...describedBy("topic-perm", wrong.perm)}>
              {PERMS.map((perm) => <option key={perm} value={perm} selected={perm === (config?.perm ?? 6)}>{t(permKey(perm))}</option>)}
            </select>
          </Field>
          <Field id="topic-type" label={t("topics.type")} hint={t("topics.type.hint")} error={wrong.messageType}>
            <select id="topic-type" name="messageType" {...describedBy("topic-type", wrong.messageType, true)}>
              {TYPES.map((type) => <option key={type} value={type} selected={type === (config?.messageType ?? "MIXED")}>{type}</option>)}
            </select>
          </Field>
        </div>
        {wrong[""] !== undefined && <p class="error" role="alert">{wrong[""]}</p>}
        <div class="buttons">
          <button type="submit" class="button primary" disabled={isBusy.value}>{t(config === undefined ? "topics.create" : "topics.change")}</button>
          <button type="button" class="button" onClick={onClose}>{t("common.cancel")}</button>
        </div>
      </form>
    </Dialog>
  );
}
