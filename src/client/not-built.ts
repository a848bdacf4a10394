import { MQError } from "../model/errors.ts";
import { assert } from "../platform/assert.ts";

/**
 * Names that the API has reserved and that are not built yet. Who calls one is told so by an MQError, as of any other
 * refusal; the types do not know them. One table: what gets built leaves it.
 */
export const NOT_BUILT = {
  mq: ["createTransactionProducer"],
  admin: [
    "deleteTopic", "topicRoute", "createGroup", "deleteGroup",
    "messageTrace", "brokerStats", "cluster",
    "persistStorage", "destroy",
  ],
  producer: ["request", "recall"],
} as const;

/** Makes the names of one owner refuse. Called in a static block of its class, which must have none of them. */
export function refuseNotBuilt(prototype: object, owner: keyof typeof NOT_BUILT): void {
  for (const name of NOT_BUILT[owner]) {
    assert(!(name in prototype), `${owner}.${name} is built: it leaves the table`);
    const value = (): Promise<never> => Promise.reject(new MQError("UNSUPPORTED", `${owner}.${name} is not built yet.`, { field: `${owner}.${name}` }));
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}
