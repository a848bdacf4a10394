import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import type { Prng } from "./prng.ts";
import type { Agent, Scheduler } from "./scheduler.ts";

export interface PortWeather {
  /** How long the next message takes, ms. */
  latency(random: Prng): number;
  /** Broken on purpose: one port's messages overtake each other. */
  isDisorderly: boolean;
}

type Listener = (event: MessageEvent) => void;

/** A pair of entangled ports. One port keeps the order of its messages; different ports know nothing of each other. */
export function simChannel(scheduler: Scheduler, weather: PortWeather, one: Agent, other: Agent): [SimPort, SimPort] {
  const ports: [SimPort, SimPort] = [new SimPort(scheduler, weather, one), new SimPort(scheduler, weather, other)];
  ports[0].entangle(ports[1]);
  return ports;
}

export class SimPort implements PortLike {
  readonly #scheduler: Scheduler;
  readonly #weather: PortWeather;
  readonly #agent: Agent;
  readonly #listeners = new Set<Listener>();
  peer!: SimPort;
  #isStarted = false;
  #isClosed = false;
  /** Arrived before anybody listened. */
  #early = 0;
  /** Posted to this port and not yet arrived. */
  #inbox: unknown[] = [];
  #lastArrival = 0;

  constructor(scheduler: Scheduler, weather: PortWeather, agent: Agent) {
    this.#scheduler = scheduler;
    this.#weather = weather;
    this.#agent = agent;
    // Of what the dead one had posted, the browser may still pass on the first part.
    agent.onDeath.add(() => this.peer.#inbox.splice(agent.random.integer(0, this.peer.#inbox.length)));
  }

  entangle(peer: SimPort): void {
    this.peer = peer;
    peer.peer = this;
  }

  postMessage(message: unknown, transfer: Transferable[] = []): void {
    // comlink says goodbye when a proxy has been collected, at a moment that no seed decides; the guard ignores it.
    if ((message as { type?: unknown } | null)?.type === "RELEASE") return;
    const data = clone(message, transfer);
    if (!this.#isClosed) this.peer.#arriveLater(data);
  }

  addEventListener(_type: "message", listener: Listener): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "message", listener: Listener): void {
    this.#listeners.delete(listener);
  }

  start(): void {
    this.#isStarted = true;
    for (; this.#early > 0; this.#early--) this.#scheduler.post(this.#agent, 0, "message", () => this.#arrive(undefined));
  }

  /** What it has posted still arrives; what is posted to it does not. */
  close(): void {
    this.#isClosed = true;
    this.#inbox = [];
  }

  #arriveLater(data: unknown): void {
    if (this.#isClosed) return;
    const { now } = this.#scheduler;
    const due = now + this.#weather.latency(this.#agent.random);
    this.#lastArrival = this.#weather.isDisorderly ? due : Math.max(this.#lastArrival, due);
    this.#inbox.push(data);
    // Whichever of the arrivals comes first, it brings the oldest message.
    const own = this.#weather.isDisorderly ? data : undefined;
    this.#scheduler.post(this.#agent, this.#lastArrival - now, labelOf(data), () => this.#arrive(own));
  }

  #arrive(own: unknown): void {
    if (!this.#isStarted) return void this.#early++;
    if (this.#inbox.length === 0) return;
    const at = own === undefined ? 0 : Math.max(0, this.#inbox.indexOf(own));
    const [data] = this.#inbox.splice(at, 1);
    for (const listener of this.#listeners) listener({ data } as MessageEvent);
  }
}

function labelOf(data: unknown): string {
  const { path } = data as { path?: unknown[] };
  return Array.isArray(path) ? `call ${String(path[0])}` : "answer";
}

/** What structured clone does to the values that cross our ports: everything is copied, what is transferred is gone here. */
function clone(message: unknown, transfer: Transferable[]): unknown {
  const copied = copyOf(message);
  // Not until all is copied: a message that cannot be cloned leaves its buffers alone.
  for (const buffer of transfer) structuredClone(buffer, { transfer: [buffer] });
  return copied;
}

/** As structuredClone, and faster. */
export function copyOf<T>(value: T): T {
  return copy(value, { map: null }) as T;
}

/** What has become of each buffer: most messages have none. */
interface Buffers {
  map: Map<ArrayBufferLike, ArrayBufferLike> | null;
}

function copy(value: unknown, buffers: Buffers): unknown {
  if (typeof value === "function" || typeof value === "symbol") throw new DOMException(`${String(value)} could not be cloned.`, "DataCloneError");
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copy(item, buffers));
  if (value instanceof ArrayBuffer) return copyBuffer(value, buffers);
  if (ArrayBuffer.isView(value)) {
    // A view brings the whole of its buffer along.
    const view = value as Uint8Array;
    const { constructor, byteOffset, length } = view;
    return new (constructor as Uint8ArrayConstructor)(copyBuffer(view.buffer, buffers) as ArrayBuffer, byteOffset, length);
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return structuredClone(value);
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const item = copy((value as Record<string, unknown>)[key], buffers);
    if (key === "__proto__") Object.defineProperty(result, key, { value: item, enumerable: true, configurable: true, writable: true });
    else result[key] = item;
  }
  return result;
}

function copyBuffer(buffer: ArrayBufferLike, buffers: Buffers): ArrayBufferLike {
  const map = (buffers.map ??= new Map());
  let copied = map.get(buffer);
  if (copied === undefined) map.set(buffer, (copied = buffer.slice(0)));
  return copied;
}
