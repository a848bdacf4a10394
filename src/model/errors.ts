/**
 * The one error type that leaves TabMQ. `code` says what, `field` says where, `outcome` says whether it may have happened.
 *
 * Codes keep RocketMQ's names where RocketMQ has one; the rest are our own.
 */
export const ERROR_CODES = [
  // RocketMQ's
  "TOPIC_NOT_EXIST",
  "MESSAGE_ILLEGAL",
  "NO_PERMISSION",
  "SUBSCRIPTION_PARSE_FAILED",
  "INVALID_PARAMETER",
  "FLOW_CONTROL",
  "NO_MESSAGE",
  "CONSUMER_NOT_ONLINE",
  "INVALID_RECEIPT_HANDLE",
  "ILLEGAL_OPERATION",
  "SYSTEM_ERROR",
  "SUBSCRIPTION_GROUP_NOT_EXIST",
  // ours
  "STORAGE_FULL",
  "STORAGE_UNAVAILABLE",
  "CANNOT_DECRYPT",
  "FENCED",
  "STALE_GENERATION",
  "REPLY_NOT_WANTED",
  "SUBSCRIPTION_INCONSISTENT",
  "FILTER_FAILED",
  "UPGRADE_REQUIRED",
  "DEADLINE_EXCEEDED",
  "CLOSED",
  "UNSUPPORTED",
  "UNSUPPORTED_ENVIRONMENT",
  "SESSION_UNKNOWN",
  "PROTOCOL_VIOLATION",
  "INTERNAL_ERROR",
] as const;

/** What an `MQError` is about: one of `ERROR_CODES`. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** `rejected`: it certainly did not happen. `unknown`: it may have happened; the same call again is safe, its `msgId` stays the same. */
export type Outcome = "rejected" | "unknown";

/** Codes after which the same call may succeed later without the caller changing anything. */
const RETRIABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "FLOW_CONTROL",
  "CONSUMER_NOT_ONLINE",
  "STORAGE_UNAVAILABLE",
  "FENCED",
  "STALE_GENERATION",
  "DEADLINE_EXCEEDED",
  "SESSION_UNKNOWN",
]);

/** What an `MQError` says besides its code and message. */
export interface MQErrorOptions {
  /** The offending field, as a path: `"message.topic"`, `"connect.namespace"`. */
  field?: string;
  /** Where in an expression the fault is: an index of UTF-16 units, 0 is its start. */
  position?: number;
  /** Default `rejected`. */
  outcome?: Outcome;
  cause?: unknown;
}

/** Every failure that TabMQ tells is one. */
export class MQError extends Error {
  /** An application may have the package twice (`tabmq/testing` holds a whole one), and an error of one copy is to be an MQError to the other. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return this === MQError ? "isMQError" in Object(value) : super[Symbol.hasInstance](value);
  }

  readonly code: ErrorCode;
  /** The same call may succeed later without the caller changing anything. */
  readonly retriable: boolean;
  /** Whether it may have happened all the same. */
  readonly outcome: Outcome;
  /** The offending field, as a path: `"message.topic"`; undefined = it is none. */
  readonly field: string | undefined;
  /** Of an expression: where the fault is, in UTF-16 units from its start. */
  readonly position: number | undefined;

  constructor(code: ErrorCode, message: string, options: MQErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "MQError";
    this.code = code;
    this.retriable = RETRIABLE.has(code);
    this.outcome = options.outcome ?? "rejected";
    this.field = options.field;
    this.position = options.position;
  }

  /** Whichever copy of the package has made it. */
  get isMQError(): true {
    return true;
  }
}

/** What of an error crosses a port: structured clone would keep only name, message and stack. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  outcome: Outcome;
  field?: string;
  position?: number;
}

export function errorToData(error: unknown): ErrorData {
  if (error instanceof MQError) {
    const data: ErrorData = { code: error.code, message: error.message, outcome: error.outcome };
    if (error.field !== undefined) data.field = error.field;
    if (error.position !== undefined) data.position = error.position;
    return data;
  }
  return { code: "INTERNAL_ERROR", message: textOf(error), outcome: "unknown" };
}

export function errorFromData(data: ErrorData): MQError {
  return new MQError(data.code, data.message, {
    outcome: data.outcome,
    ...(data.field === undefined ? {} : { field: data.field }),
    ...(data.position === undefined ? {} : { position: data.position }),
  });
}

/** What was thrown, as text; anything can be thrown, also things that cannot be printed. */
export function textOf(thrown: unknown): string {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } catch {
    return "something that cannot be printed";
  }
}

/** Whatever was thrown, as an MQError. */
export function asMQError(thrown: unknown): MQError {
  return thrown instanceof MQError ? thrown : new MQError("INTERNAL_ERROR", textOf(thrown), { cause: thrown });
}

export function connectionClosed(namespace: string): MQError {
  return new MQError("CLOSED", `This connection to namespace "${namespace}" is closed.`);
}

/** What everybody hears who was connected when somebody destroyed the namespace. */
export function namespaceDestroyed(namespace: string): MQError {
  return new MQError("CLOSED", `The namespace "${namespace}" was destroyed, with everything in it.`, { field: DESTROYED_FIELD });
}

export function isDestroyed(error: unknown): error is MQError {
  return error instanceof MQError && error.code === "CLOSED" && error.field === DESTROYED_FIELD;
}

const DESTROYED_FIELD = "namespace";

/** The browser lets nobody have a database here: not a matter of waiting, as a database that fails is. */
export function storeRefused(why: string, cause?: unknown): MQError {
  return new MQError("STORAGE_UNAVAILABLE", `IndexedDB cannot be used here: ${why}.`, { field: REFUSED_FIELD, cause });
}

export function isStoreRefused(error: unknown): error is MQError {
  return error instanceof MQError && error.code === "STORAGE_UNAVAILABLE" && error.field === REFUSED_FIELD;
}

const REFUSED_FIELD = "indexedDB";

/** The same refusal, of a message that was tried before with an outcome that nobody knows. */
export function inDoubt(error: MQError): MQError {
  if (error.outcome === "unknown") return error;
  return errorFromData({ ...errorToData(error), message: `${error.message} An earlier try may have been stored.`, outcome: "unknown" });
}
