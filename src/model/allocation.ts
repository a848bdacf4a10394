import { MQError } from "./errors.ts";

function checkInput(currentClientId: string, clientIds: readonly string[], queues: readonly unknown[]): void {
  const empty = (field: string, message: string): MQError => new MQError("INVALID_PARAMETER", `${field}: ${message}`, { field });
  if (!currentClientId) throw empty("currentClientId", "the id of the client to allocate for must not be empty.");
  if (!clientIds?.length) throw empty("clientIds", "the list of the group's clients must not be empty.");
  if (!queues?.length) throw empty("queues", "the list of queues to share must not be empty.");
}

/**
 * AVG: contiguous blocks of `queues` to the clients in the order given; the first `queues % clients` clients get one more.
 * A client that is not in the list gets nothing. Callers sort both lists first, so that every member computes the same.
 * Source: RocketMQ client/consumer/rebalance/AllocateMessageQueueAveragely.java.
 * @throws MQError INVALID_PARAMETER on an empty id or list
 */
export function allocateAveragely<Q>(currentClientId: string, clientIds: readonly string[], queues: readonly Q[]): Q[] {
  checkInput(currentClientId, clientIds, queues);
  const index = clientIds.indexOf(currentClientId);
  if (index < 0) return [];
  const share = Math.floor(queues.length / clientIds.length);
  const extra = queues.length % clientIds.length;
  const start = index * share + Math.min(index, extra);
  return queues.slice(start, start + share + (index < extra ? 1 : 0));
}
