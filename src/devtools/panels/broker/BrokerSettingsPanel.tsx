import { useLayoutEffect, useRef } from "preact/hooks";
import { type BrokerSettings, DEFAULT_BROKER_SETTINGS, type Diagnostics } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { Ignored } from "../../ui/Ignored.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { SETTINGS, settingText, type SettingKind } from "./setting-kinds.ts";
import { SettingEditor } from "./SettingEditor.tsx";

/** All settings of the broker. One at a time can be changed, where it stands; which one is in the address. */
export function BrokerSettingsPanel({ report, onChange }: { report: Diagnostics; onChange: () => void }) {
  const { router } = useDevtools();
  const t = useTranslate();
  const edited = router.route.value.query.setting;
  return (
    <Panel title={t("broker.settings")}>
      <Ignored names={edited === undefined || SETTINGS.some(({ name, isMutable }) => isMutable && name === edited) ? [] : ["setting"]} />
      <p class="quiet settings-note">{t("broker.settings.note")}</p>
      <ul class="settings">
        {SETTINGS.map((setting) => <SettingRow key={setting.name} setting={setting} settings={report.settings} isEdited={setting.isMutable && setting.name === edited} onChange={onChange} />)}
      </ul>
    </Panel>
  );
}

interface SettingRowProps {
  setting: SettingKind;
  settings: BrokerSettings;
  isEdited: boolean;
  onChange: () => void;
}

function SettingRow({ setting, settings, isEdited, onChange }: SettingRowProps) {
  const { router } = useDevtools();
  const t = useTranslate();
  const { name, isMutable } = setting;
  const value = settings[name];
  const standard = DEFAULT_BROKER_SETTINGS[name];
  const row = useRef<HTMLLIElement>(null);
  const wasEdited = useRef(isEdited);
  useLayoutEffect(() => {
    // The field that had the focus is gone, and no other has taken its place.
    if (wasEdited.current && router.route.peek().query.setting === undefined) row.current?.querySelector("button")?.focus();
    wasEdited.current = isEdited;
  }, [isEdited]);
  return (
    <li ref={row} data-setting={name}>
      <div class="setting-name">
        <code>{name}</code>
        <p class="hint">{t(`broker.setting.${name}`)}</p>
      </div>
      {isEdited
        ? <SettingEditor setting={setting} value={value} onClose={() => router.refine({ setting: undefined })} onChange={onChange} />
        : (
          <>
            <div class="setting-value">
              <p>{settingText(setting, value, t)}</p>
              <p class="hint">{value === standard ? t("broker.settings.isDefault") : t("broker.settings.default", { value: settingText(setting, standard, t) })}</p>
            </div>
            <div class="setting-tools">
              {isMutable
                ? <button type="button" class="button small" aria-label={t("broker.settings.changeOf", { name })} onClick={() => router.refine({ setting: name })}>{t("broker.settings.change")}</button>
                : <span class="hint">{t("broker.settings.fixed")}</span>}
            </div>
          </>
        )}
    </li>
  );
}
