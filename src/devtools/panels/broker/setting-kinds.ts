import type { BrokerSettings, MutableSettings } from "../../../index.ts";
import type { Translate } from "../../i18n/translate.ts";
import { amountOf } from "../../submit.ts";

export type SettingName = keyof BrokerSettings;
type Kind = "duration" | "bytes" | "count" | "switch" | "flush" | "text";

export interface SettingKind {
  name: SettingName;
  kind: Kind;
  /** It may change while the broker runs. */
  isMutable: boolean;
}

type MutableName = keyof MutableSettings;

/** What may change: the compiler says when one is missing here. */
const MUTABLE: Record<MutableName, Kind> = {
  fileReservedTime: "duration",
  maxStoreBytes: "bytes",
  deleteWhen: "text",
  flushDiskType: "flush",
  syncFlushTimeout: "duration",
  defaultTopicQueueNums: "count",
  autoCreateTopicEnable: "switch",
  autoCreateSubscriptionGroup: "switch",
  timerMaxDelay: "duration",
  transactionTimeout: "duration",
  transactionCheckInterval: "duration",
  transactionCheckMax: "count",
};
const FIXED: Record<Exclude<SettingName, MutableName>, Kind> = { maxMessageSize: "bytes", messageDelayLevel: "text", enableWasmFilter: "switch", traceEnable: "switch" };

const listOf = (kinds: Record<string, Kind>, isMutable: boolean): SettingKind[] =>
  Object.entries(kinds).map(([name, kind]) => ({ name: name as SettingName, kind, isMutable }));

/** Every setting of a broker, those that can be changed first. */
export const SETTINGS: readonly SettingKind[] = [...listOf(MUTABLE, true), ...listOf(FIXED, false)];

export interface Unit {
  readonly id: string;
  readonly factor: number;
}

const UNITS: Partial<Record<Kind, readonly Unit[]>> = {
  duration: [{ id: "ms", factor: 1 }, { id: "s", factor: 1000 }, { id: "min", factor: 60_000 }, { id: "h", factor: 3_600_000 }, { id: "d", factor: 86_400_000 }],
  bytes: [{ id: "B", factor: 1 }, { id: "KiB", factor: 2 ** 10 }, { id: "MiB", factor: 2 ** 20 }, { id: "GiB", factor: 2 ** 30 }],
};

export function unitsOf(kind: Kind): readonly Unit[] {
  return UNITS[kind] ?? [];
}

/** The largest unit in which the value is a whole number. */
export function unitFor(kind: Kind, value: number): Unit | undefined {
  return unitsOf(kind).findLast(({ factor }) => value > 0 && value % factor === 0) ?? unitsOf(kind).at(kind === "bytes" ? 2 : 1);
}

/** What was typed, in the unit that was chosen: whole ms or bytes, for 1.1 h is a little more or less than so many. NaN = no number. */
export function amountIn(unit: Unit | undefined, text: string): number {
  return unit === undefined ? amountOf(text) : Math.round(amountOf(text) * unit.factor);
}

export function settingText({ name, kind }: SettingKind, value: BrokerSettings[SettingName], t: Translate): string {
  if (name === "maxStoreBytes" && value === 0) return t("broker.setting.maxStoreBytes.zero");
  if (name === "deleteWhen" && value === "") return t("broker.setting.deleteWhen.empty");
  if (typeof value === "boolean") return t(value ? "broker.on" : "broker.off");
  if (typeof value !== "number") return value;
  const unit = unitFor(kind, value);
  return unit === undefined ? t.number(value) : `${t.number(value / unit.factor)} ${unit.id}`;
}
