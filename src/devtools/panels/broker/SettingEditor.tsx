import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS, MQError } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { besideField } from "../../submit.ts";
import { describedBy, Field } from "../../ui/Field.tsx";
import { Select } from "../../ui/Select.tsx";
import { amountIn, settingText, type SettingKind, unitFor, unitsOf } from "./setting-kinds.ts";

interface SettingEditorProps {
  setting: SettingKind;
  value: BrokerSettings[keyof BrokerSettings];
  onClose: () => void;
  onChange: () => void;
}

/** One setting's new value, in the unit one thinks in. What the library refuses stands at the field. */
export function SettingEditor({ setting, value, onClose, onChange }: SettingEditorProps) {
  const { session, announce } = useDevtools();
  const t = useTranslate();
  const { name, kind } = setting;
  const unit = useSignal(typeof value === "number" ? unitFor(kind, value) : undefined);
  const text = useSignal(draftOf(value, unit.value?.factor));
  const problem = useSignal<string | undefined>(undefined);
  const isBusy = useSignal(false);
  const form = useRef<HTMLFormElement>(null);
  useLayoutEffect(() => form.current!.querySelector<HTMLElement>("input, select")?.focus(), []);
  const id = `setting-${name}`;
  const standard = DEFAULT_BROKER_SETTINGS[name];

  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    const next = kind === "switch" ? text.value === "true" : typeof value === "number" ? amountIn(unit.value, text.value) : text.value;
    isBusy.value = true;
    try {
      if (Number.isNaN(next)) throw new Error(t("common.noNumber"));
      await session.mq.admin.updateBrokerConfig({ [name]: next });
      announce(t("broker.settings.saved", { name }));
      onChange();
      onClose();
    } catch (error) {
      problem.value = refusalOf(error, unitsOf(kind)[0]?.id);
      form.current?.querySelector<HTMLElement>("input, select")?.focus();
    } finally {
      isBusy.value = false;
    }
  };
  const onDefault = (): void => {
    if (typeof standard === "number") unit.value = unitFor(kind, standard);
    text.value = draftOf(standard, unit.value?.factor);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    onClose();
  };

  return (
    <form ref={form} class="setting-editor" onSubmit={(event) => void onSubmit(event)} onKeyDown={onKeyDown}>
      <Field id={id} label={t("broker.settings.newValue")} hint={t("broker.settings.default", { value: settingText(setting, standard, t) })} error={problem.value}>
        <div class="setting-input">
          {kind === "switch" || kind === "flush"
            ? (
              <select id={id} value={text.value} onChange={(event) => (text.value = event.currentTarget.value)} {...describedBy(id, problem.value, true)}>
                {(kind === "flush" ? ["sync", "async"] as const : ["true", "false"] as const).map((option) => (
                  <option key={option} value={option} selected={option === text.value}>{t(`broker.option.${option}`)}</option>
                ))}
              </select>
            )
            : (
              <input
                id={id} autocomplete="off" spellcheck={false} inputMode={typeof value === "number" ? "decimal" : "text"} value={text.value}
                onInput={(event) => (text.value = event.currentTarget.value)} {...describedBy(id, problem.value, true)}
              />
            )}
          {unit.value !== undefined && (
            <Select label={t("broker.settings.unit")} value={unit.value.id} options={unitsOf(kind).map(({ id: one }) => [one, one] as const)} onChoose={(chosen) => (unit.value = unitsOf(kind).find(({ id: one }) => one === chosen))} />
          )}
        </div>
      </Field>
      <div class="buttons">
        <button type="submit" class="button small primary" disabled={isBusy.value}>{t("broker.settings.save")}</button>
        <button type="button" class="button small" onClick={onClose}>{t("common.cancel")}</button>
        <button type="button" class="button small" onClick={onDefault}>{t("broker.settings.toDefault")}</button>
      </div>
    </form>
  );
}

/** With the unit that the library's figures have. */
function refusalOf(error: unknown, unit: string | undefined): string {
  const reason = besideField(error);
  return error instanceof MQError && unit !== undefined ? reason.replace(/\.$/, ` (${unit}).`) : reason;
}

function draftOf(value: BrokerSettings[keyof BrokerSettings], factor = 1): string {
  return typeof value === "number" ? String(value / factor) : String(value);
}
