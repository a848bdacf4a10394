import type { ConsumerConnection } from "../../../index.ts";
import type { Key } from "../../i18n/translate.ts";

/**
 * In what the members differ although all of a group should agree; as texts of the catalogue. Members that have picked their
 * queues themselves have no subscription and need not agree.
 */
export function inconsistencies(connections: readonly ConsumerConnection[]): Key[] {
  const bound = connections.filter(({ subscriptions }) => Object.keys(subscriptions).length > 0);
  const differ = (of: (member: ConsumerConnection) => string): boolean => new Set(bound.map(of)).size > 1;
  return [
    ...(differ(({ messageModel }) => messageModel) ? ["groups.differ.model" as const] : []),
    ...(differ(({ subscriptions }) => JSON.stringify(Object.entries(subscriptions).sort())) ? ["groups.differ.subscriptions" as const] : []),
    ...(differ(({ consumeFromWhere }) => consumeFromWhere) ? ["groups.differ.fromWhere" as const] : []),
  ];
}
