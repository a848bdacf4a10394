import { MQError } from "../model/errors.ts";
import { MAX_GROUPS } from "../model/limits.ts";
import { SYSTEM_GROUP_PREFIX } from "../model/system-names.ts";
import type { GroupConfig, GroupSpec } from "../protocol/api.ts";
import type { BrokerSettings } from "../protocol/broker-settings.ts";
import { isCount } from "../protocol/validate.ts";
import type { DurableState } from "../storage/durable-state.ts";

const PREFIX = "group/";

/** What an admin has said of consumer groups; most have nothing said of them, and come into being when somebody joins. */
export class GroupConfigs {
  readonly #configs = new Map<string, GroupConfig>();
  readonly #state: DurableState;
  readonly #settings: BrokerSettings;
  /** Something else holds for the group than before. */
  onChanged: (group: string) => void = () => {};

  constructor(state: DurableState, settings: BrokerSettings) {
    this.#state = state;
    this.#settings = settings;
  }

  restore(): void {
    for (const [group, row] of this.#state.startingWith(PREFIX)) if (isConfigOf(group, row)) this.#configs.set(group, row);
  }

  find(group: string): GroupConfig | undefined {
    return this.#configs.get(group);
  }

  names(): string[] {
    return [...this.#configs.keys()];
  }

  /** Creates the group or changes it; resolves when that is durable. */
  async create(spec: GroupSpec): Promise<GroupConfig> {
    const { group } = spec;
    if (group.startsWith(SYSTEM_GROUP_PREFIX)) throw new MQError("NO_PERMISSION", `Groups that begin with ${SYSTEM_GROUP_PREFIX} are the broker's own.`, { field: "group" });
    const before = this.#configs.get(group);
    if (before === undefined && this.#configs.size >= MAX_GROUPS) throw new MQError("FLOW_CONTROL", `The broker holds ${MAX_GROUPS} groups already.`, { field: "group" });
    const config: GroupConfig = { ...(before ?? { consumeEnable: true, consumeBroadcastEnable: true, retryMaxTimes: null }), ...spec };
    this.#configs.set(group, config);
    const saved = this.#state.save(PREFIX + group, config);
    this.onChanged(group);
    await saved;
    return config;
  }

  /** Goes with the next commit. */
  remove(group: string): void {
    if (this.#configs.delete(group)) this.#state.set(PREFIX + group, null);
  }

  /** `isKnown`: the group has been here before. @throws MQError SUBSCRIPTION_GROUP_NOT_EXIST, NO_PERMISSION */
  checkJoin(group: string, isBroadcasting: boolean, isKnown: () => boolean): void {
    const config = this.#configs.get(group);
    if (config === undefined && !this.#settings.autoCreateSubscriptionGroup && !isKnown()) {
      throw new MQError("SUBSCRIPTION_GROUP_NOT_EXIST", `There is no consumer group "${group}", and autoCreateSubscriptionGroup is off.`, { field: "consumerGroup" });
    }
    if (isBroadcasting && config?.consumeBroadcastEnable === false) {
      throw new MQError("NO_PERMISSION", `Group "${group}" may not broadcast: its consumeBroadcastEnable is off.`, { field: "messageModel" });
    }
  }

  mayConsume(group: string): boolean {
    return this.#configs.get(group)?.consumeEnable !== false;
  }

  /** How often the group tries a message again, at most, when its consumers say so. */
  retriesOf(group: string, asked: number): number {
    return Math.min(asked, this.#configs.get(group)?.retryMaxTimes ?? asked);
  }
}

/** Why a group is given nothing at the moment. */
export function consumingIsOff(group: string): MQError {
  return new MQError("NO_PERMISSION", `Group "${group}" is given nothing: its consumeEnable is off.`, { field: "consumerGroup" });
}

function isConfigOf(name: string, row: unknown): row is GroupConfig {
  if (typeof row !== "object" || row === null) return false;
  const { group, consumeEnable, consumeBroadcastEnable, retryMaxTimes } = row as Partial<GroupConfig>;
  return group === name && typeof consumeEnable === "boolean" && typeof consumeBroadcastEnable === "boolean" && (retryMaxTimes === null || isCount(retryMaxTimes));
}
