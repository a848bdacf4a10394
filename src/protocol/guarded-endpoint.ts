import { MAX_CALL_ARGUMENTS, MAX_CALL_ID_LENGTH } from "../model/limits.ts";
import { type ErrorData, errorToData, MQError } from "../model/errors.ts";
import type { Answer } from "./api.ts";
import { isDictionary } from "./validate.ts";

/** The part of a MessagePort that the guard needs; browsers and Node have it alike. */
export interface PortLike {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  start(): void;
  close(): void;
  /** Something has arrived that cannot be read here. */
  onmessageerror?: ((event: MessageEvent) => void) | null;
}

/** comlink's Endpoint. Written here, because an application's compiler comes by, and comlink is built in and not installed. */
interface Endpoint {
  start(): void;
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject): void;
}

/** Instead of a call's id: the answer to all calls over the port, and the last. */
const EVERY_CALL = "unreadable";

/** Ends a client's port: something of it could not be read, or the broker has news that nobody has asked for. */
export function endPort(port: PortLike, epoch: number, error: MQError): void {
  port.postMessage({ id: EVERY_CALL, type: "RAW", value: { ok: false, epoch, error: errorToData(error) } satisfies Answer<never> });
}

/** What `endPort` has said; null: this is something else. */
export function readEnd(data: unknown): ErrorData | null {
  const { id, value } = data as { id?: unknown; value?: Partial<Answer<never>> };
  return id === EVERY_CALL && value?.ok === false ? (value.error ?? null) : null;
}

const CALL_KEYS: ReadonlySet<string> = new Set(["id", "type", "path", "argumentList"]);

/** A call as comlink gets it: made here, nothing of the peer's own object is in it but the values of its arguments. */
interface Call {
  id: string;
  type: "APPLY";
  path: [method: string];
  argumentList: { type: "RAW"; value: unknown }[];
}

/**
 * comlink's `expose` lets a peer read any field, overwrite methods and reach constructors: it walks whatever path
 * the message names. This endpoint lets exactly one kind of message through: APPLY of a listed method, one path
 * segment, plain arguments, a bounded number of unanswered calls. Everything else is answered with an error, where
 * it can be answered at all, and counted.
 */
export function guardBroker(
  port: PortLike,
  options: { methods: readonly string[]; maxCalls: number; onViolation: () => void; epoch: () => number },
): Endpoint {
  const allowed = new Set(options.methods);
  const unanswered = new Set<string>();
  const listeners = new Map<unknown, (event: MessageEvent) => void>();

  /** The call, or the reason to refuse it. */
  function read(data: unknown): Call | string {
    if (!isDictionary(data)) return "A call is an object.";
    // Own keys like "__proto__" survive structured clone; whoever copies this object later must not meet one.
    if (Object.keys(data).some((key) => !CALL_KEYS.has(key))) return "A call has id, type, path and argumentList only.";
    const { id, type, path, argumentList } = data as Record<string, unknown>;
    if (typeof id !== "string" || id === "" || id.length > MAX_CALL_ID_LENGTH) return "A call has an id of 1 to 64 characters.";
    if (type !== "APPLY") return "Only method calls are allowed.";
    if (!Array.isArray(path) || path.length !== 1 || !allowed.has(path[0] as string)) return "No such method.";
    if (!Array.isArray(argumentList) || argumentList.length > MAX_CALL_ARGUMENTS) return "A call has at most 4 arguments.";
    // A cloned list keeps own keys such as "map" and "constructor": none of its methods is called, here or in comlink.
    const given = Array.from<unknown>(argumentList);
    if (!given.every((argument) => isDictionary(argument) && (argument as { type?: unknown }).type === "RAW")) return "Arguments are plain values.";
    if (unanswered.has(id)) return "This call id is in use.";
    if (unanswered.size >= options.maxCalls) return "Too many unanswered calls.";
    const argumentValues = given.map((argument) => ({ type: "RAW" as const, value: (argument as { value?: unknown }).value }));
    return { id, type, path: [path[0] as string], argumentList: argumentValues };
  }

  function refuse(data: unknown, reason: string): void {
    options.onViolation();
    const id: unknown = typeof data === "object" && data !== null ? (data as { id?: unknown }).id : undefined;
    if (typeof id !== "string" || id.length > MAX_CALL_ID_LENGTH || unanswered.has(id)) return;
    const value: Answer<never> = {
      ok: false,
      epoch: options.epoch(),
      error: errorToData(new MQError("PROTOCOL_VIOLATION", reason)),
    };
    port.postMessage({ id, type: "RAW", value });
  }

  // Seen in WebKitGTK 2.50 with a CryptoKey. Whoever sent it would wait in vain, and take the worker for hung.
  port.onmessageerror = () => {
    const error = new MQError("UNSUPPORTED_ENVIRONMENT", "The broker's worker cannot read what was sent to it. Where a browser passes no CryptoKey to a SharedWorker, give connect.encryptionKey as 32 bytes.");
    endPort(port, options.epoch(), error);
  };

  return {
    start: () => port.start(),
    postMessage(message: unknown, transfer?: Transferable[]) {
      const id: unknown = (message as { id?: unknown }).id;
      if (typeof id === "string") unanswered.delete(id);
      port.postMessage(message, transfer ?? []);
    },
    addEventListener(_type: string, listener: EventListenerOrEventListenerObject) {
      const guarded = (event: MessageEvent): void => {
        const data: unknown = event.data;
        // comlink's client says goodbye with RELEASE when a proxy is dropped; our sessions end by `leave` or by lock.
        if (isRelease(data)) return;
        const call = read(data);
        if (typeof call === "string") return refuse(data, call);
        unanswered.add(call.id);
        (listener as unknown as (event: Pick<MessageEvent, "data" | "origin">) => void)({ data: call, origin: event.origin });
      };
      listeners.set(listener, guarded);
      port.addEventListener("message", guarded);
    },
    removeEventListener(_type: string, listener: EventListenerOrEventListenerObject) {
      const guarded = listeners.get(listener);
      if (guarded === undefined) return;
      listeners.delete(listener);
      port.removeEventListener("message", guarded);
    },
  };
}

function isRelease(data: unknown): boolean {
  return typeof data === "object" && data !== null && (data as { type?: unknown }).type === "RELEASE";
}
