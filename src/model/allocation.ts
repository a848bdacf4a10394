import { MQError } from "./errors.ts";
import { md5 } from "./md5.ts";
import type { MessageQueue } from "./queue.ts";

export const STRATEGIES = ["AVG", "AVG_BY_CIRCLE", "CONFIG", "MACHINE_ROOM", "MACHINE_ROOM_NEARBY", "CONSISTENT_HASH"] as const;
/** How a group's members share the queues: RocketMQ's six ways. */
export type AllocateStrategyName = (typeof STRATEGIES)[number];

/** Who shares what, and for whom it is asked. Everybody must give both lists in the same order. */
export interface AllocateRequest {
  currentClientId: string;
  clientIds: readonly string[];
  queues: readonly MessageQueue[];
}

export interface AllocateOptions extends AllocateRequest {
  /** CONFIG: what to get. */
  messageQueueList?: readonly MessageQueue[];
  /** MACHINE_ROOM: rooms whose queues are shared; a queue's room stands before the @ of its broker's name. */
  consumerIdcs?: Iterable<string>;
  /** MACHINE_ROOM_NEARBY: how to share within a room. Default AVG. */
  inner?: AllocateStrategyName | AllocateFunction;
  /** MACHINE_ROOM_NEARBY: in which room a broker is. */
  brokerRoom?: (brokerName: string) => string | null | undefined;
  /** MACHINE_ROOM_NEARBY: in which room a client is. */
  consumerRoom?: (clientId: string) => string | null | undefined;
  /** CONSISTENT_HASH: points of a client on the ring. Default 10. */
  virtualNodes?: number;
}

/** A strategy of one's own: what `currentClientId` gets of `queues`. Called for each client of the list. */
export type AllocateFunction = (request: AllocateRequest) => MessageQueue[];

const DEFAULT_VIRTUAL_NODES = 10;

/**
 * The queues that `currentClientId` gets; none when it is not in the list.
 * Source: RocketMQ client/consumer/rebalance/*.java.
 * @throws MQError INVALID_PARAMETER on an empty id or list, an unknown strategy, or when the strategy lacks something
 */
export function allocateMessageQueues(strategy: AllocateStrategyName | AllocateFunction, options: AllocateOptions): MessageQueue[] {
  const { currentClientId, clientIds, queues } = options ?? refuse("options", "they say who shares what.");
  // Everybody gets the list, whatever the group.
  if (strategy === "CONFIG") return [...(options.messageQueueList ?? refuse("messageQueueList", "CONFIG needs the list of queues to give."))];
  checkInput(currentClientId, clientIds, queues);
  if (!clientIds.includes(currentClientId)) return [];
  if (typeof strategy === "function") return strategy({ currentClientId, clientIds, queues });
  switch (strategy) {
    case "AVG":
      return averagely(currentClientId, clientIds, queues);
    case "AVG_BY_CIRCLE":
      return queues.filter((_, at) => at % clientIds.length === clientIds.indexOf(currentClientId));
    case "MACHINE_ROOM":
      return ofMachineRooms(options);
    case "MACHINE_ROOM_NEARBY":
      return nearby(options);
    case "CONSISTENT_HASH":
      return byConsistentHash(options);
    default:
      return refuse("strategy", `there is no strategy ${JSON.stringify(strategy)}; known: ${STRATEGIES.join(", ")}, or a function.`);
  }
}

function refuse(field: string, message: string): never {
  throw new MQError("INVALID_PARAMETER", `${field}: ${message}`, { field });
}

function checkInput(currentClientId: string, clientIds: readonly string[], queues: readonly unknown[]): void {
  if (!currentClientId) refuse("currentClientId", "the id of the client to allocate for must not be empty.");
  if (!clientIds?.length) refuse("clientIds", "the list of the group's clients must not be empty.");
  if (!queues?.length) refuse("queues", "the list of queues to share must not be empty.");
}

/** Contiguous blocks; the first `queues % clients` clients get one more. */
function averagely(current: string, clients: readonly string[], queues: readonly MessageQueue[]): MessageQueue[] {
  const index = clients.indexOf(current);
  const share = Math.floor(queues.length / clients.length);
  const extra = queues.length % clients.length;
  const start = index * share + Math.min(index, extra);
  return queues.slice(start, start + share + (index < extra ? 1 : 0));
}

/** Equal blocks; what is left over goes to the first clients, one queue each. */
function ofMachineRooms({ currentClientId, clientIds, queues, consumerIdcs }: AllocateOptions): MessageQueue[] {
  const rooms = new Set(consumerIdcs ?? refuse("consumerIdcs", "MACHINE_ROOM needs the rooms whose queues are shared."));
  const near = queues.filter(({ brokerName }) => {
    const [room = "", name, more] = brokerName.split("@");
    return name !== undefined && more === undefined && rooms.has(room);
  });
  const index = clientIds.indexOf(currentClientId);
  const share = Math.floor(near.length / clientIds.length);
  const rest = near.slice(share * clientIds.length);
  return [...near.slice(index * share, (index + 1) * share), ...rest.slice(index, index + 1)];
}

/** Each room's queues to its own clients; those of a room without clients to everybody. */
function nearby(options: AllocateOptions): MessageQueue[] {
  const { currentClientId, clientIds, queues, inner = "AVG", brokerRoom, consumerRoom } = options;
  if (inner === "MACHINE_ROOM_NEARBY") refuse("inner", "MACHINE_ROOM_NEARBY cannot be how it shares within a room.");
  const roomOf = (find: AllocateOptions["brokerRoom"], field: string, of: string): string => {
    if (find === undefined) return refuse(field, "MACHINE_ROOM_NEARBY needs it, to know who is near.");
    return find(of) || refuse(field, `${JSON.stringify(of)} is in no room.`);
  };
  const queuesOf = new Map<string, MessageQueue[]>();
  for (const queue of queues) {
    const room = roomOf(brokerRoom, "brokerRoom", queue.brokerName);
    queuesOf.set(room, [...(queuesOf.get(room) ?? []), queue]);
  }
  const clientsOf = new Map<string, string[]>();
  for (const client of clientIds) {
    const room = roomOf(consumerRoom, "consumerRoom", client);
    clientsOf.set(room, [...(clientsOf.get(room) ?? []), client]);
  }
  const shareOf = (near: MessageQueue[], clients: readonly string[]): MessageQueue[] => allocateMessageQueues(inner, { ...options, clientIds: clients, queues: near });
  const own = consumerRoom?.(currentClientId) ?? "";
  const deserted = [...queuesOf].filter(([room]) => !clientsOf.has(room));
  return [...(queuesOf.has(own) ? shareOf(queuesOf.get(own)!, clientsOf.get(own)!) : []), ...deserted.flatMap(([, far]) => shareOf(far, clientIds))];
}

function byConsistentHash({ currentClientId, clientIds, queues, virtualNodes = DEFAULT_VIRTUAL_NODES }: AllocateOptions): MessageQueue[] {
  if (!Number.isInteger(virtualNodes) || virtualNodes < 0) refuse("virtualNodes", `it must be 0 or a positive integer, not ${String(virtualNodes)}.`);
  const clients = consistentHashClients(new Map(clientIds.map((client) => [client, ringPoints(client, virtualNodes)])), queues);
  return queues.filter((_, at) => clients[at] === currentClientId);
}

/** Where a client stands on the ring. */
export function ringPoints(clientId: string, virtualNodes = DEFAULT_VIRTUAL_NODES): number[] {
  return Array.from({ length: virtualNodes }, (_, node) => ringHash(`${clientId}-${node}`));
}

/** CONSISTENT_HASH for all at once: whose point on the ring comes next, for each queue. Few queues move when a client comes or goes. */
export function consistentHashClients(clients: ReadonlyMap<string, readonly number[]>, queues: readonly MessageQueue[]): (string | undefined)[] {
  const points = new Map([...clients].flatMap(([client, own]) => own.map((point) => [point, client] as const)));
  const ring = [...points].sort(([a], [b]) => a - b);
  return queues.map(({ topic, brokerName, queueId }) => {
    const hash = ringHash(`MessageQueue [topic=${topic}, brokerName=${brokerName}, queueId=${queueId}]`);
    return (ring.find(([point]) => point >= hash) ?? ring[0])?.[1];
  });
}

/** RocketMQ's ConsistentHashRouter: the first four bytes of the MD5, unsigned. */
function ringHash(key: string): number {
  return new DataView(md5(key).buffer).getUint32(0);
}
