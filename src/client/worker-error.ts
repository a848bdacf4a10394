import { MQError, textOf } from "../model/errors.ts";

type Kind = "SharedWorker" | "worker";

/** What a page's developer can do. Browsers tell a script neither that a policy has blocked a worker nor that its file is missing. */
const ADVICE = "is its script served, and allowed by the page's policy (worker-src 'self')?";

/** Of its `error` event. */
export function workerFailed(kind: Kind, event: Event): MQError {
  const detail = event instanceof ErrorEvent && event.message !== "" ? `: ${event.message}` : `; ${ADVICE}`;
  return new MQError("UNSUPPORTED_ENVIRONMENT", `The broker's ${kind} failed to start${detail}`);
}

/** What its constructor throws, or the application's function that makes it. */
export function workerRefused(kind: Kind, cause: unknown, isGiven: boolean): MQError {
  if (cause instanceof MQError) return cause;
  const detail = isGiven ? `: connect.worker has thrown: ${textOf(cause)}` : `; ${ADVICE}`;
  return new MQError("UNSUPPORTED_ENVIRONMENT", `The broker's ${kind} cannot be created${detail}`, { cause });
}
