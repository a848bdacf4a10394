import type { GroupInfo } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { FieldProblem, numberOf, useSubmit, valueOf } from "../../submit.ts";
import { Dialog } from "../../ui/Dialog.tsx";
import { describedBy, Field } from "../../ui/Field.tsx";

interface GroupFormProps {
  /** Groups there are: to create one of them would change it. */
  known?: readonly GroupInfo[];
  /** Instead: this one is changed. */
  info?: GroupInfo;
  onDone: (group: string) => void;
  onClose: () => void;
}

const FIELDS = ["group", "consumeEnable", "consumeBroadcastEnable", "retryMaxTimes"] as const;

/** What an admin says of a group, of a new one or of one there is. */
export function GroupForm({ known = [], info, onDone, onClose }: GroupFormProps) {
  const { announce, session } = useDevtools();
  const t = useTranslate();
  const { isBusy, problems, onSubmit } = useSubmit(FIELDS, async (form) => {
    const group = info?.group ?? valueOf(form, "group").trim();
    if (info === undefined && known.some((one) => one.group === group)) throw new FieldProblem("group", t("groups.exists"));
    const isOn = (name: string): boolean => (form.elements.namedItem(name) as HTMLInputElement).checked;
    await session.mq.admin.createGroup({
      group, consumeEnable: isOn("consumeEnable"), consumeBroadcastEnable: isOn("consumeBroadcastEnable"),
      retryMaxTimes: valueOf(form, "retryMaxTimes").trim() === "" ? null : numberOf(form, "retryMaxTimes", t),
    });
    announce(t(info === undefined ? "groups.created" : "groups.changed", { group }));
    onClose();
    onDone(group);
  });
  const wrong = problems.value;
  const { consumeEnable = true, consumeBroadcastEnable = true, retryMaxTimes = null } = info?.config ?? {};
  return (
    <Dialog title={info === undefined ? t("groups.create") : t("groups.change.title")} onClose={onClose}>
      <form class="stack" onSubmit={onSubmit} noValidate>
        {info === undefined ? (
          <Field id="group-name" label={t("groups.name")} hint={t("groups.name.hint")} error={wrong.group}>
            <input id="group-name" name="group" autocomplete="off" autocapitalize="none" spellcheck={false} {...describedBy("group-name", wrong.group, true)} />
          </Field>
        ) : <p class="long-name">{info.group}</p>}
        <label class="check"><input type="checkbox" name="consumeEnable" defaultChecked={consumeEnable} />{t("groups.consumeEnable")}</label>
        <label class="check"><input type="checkbox" name="consumeBroadcastEnable" defaultChecked={consumeBroadcastEnable} />{t("groups.consumeBroadcastEnable")}</label>
        <Field id="group-retries" label={t("groups.retryMaxTimes")} hint={t("groups.retryMaxTimes.hint")} error={wrong.retryMaxTimes}>
          <input id="group-retries" name="retryMaxTimes" type="number" min="0" defaultValue={retryMaxTimes === null ? "" : String(retryMaxTimes)} {...describedBy("group-retries", wrong.retryMaxTimes, true)} />
        </Field>
        {wrong[""] !== undefined && <p class="error" role="alert">{wrong[""]}</p>}
        <div class="buttons">
          <button type="submit" class="button primary" disabled={isBusy.value}>{t(info === undefined ? "groups.create" : "groups.change")}</button>
          <button type="button" class="button" onClick={onClose}>{t("common.cancel")}</button>
        </div>
      </form>
    </Dialog>
  );
}
