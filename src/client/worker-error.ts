import { MQError } from "../model/errors.ts";

type Kind = "SharedWorker" | "worker";

/** What a page's developer can do. Browsers tell a script neither that a policy has blocked a worker nor that its file is missing. */
const ADVICE = "is its script served, and allowed by the page's policy (worker-src 'self')?";

/** Of its `error` event. */
export function workerFailed(kind: Kind, event: Event): MQError {
  const detail = event instanceof ErrorEvent && event.message !== "" ? `: ${event.message}` : `; ${ADVICE}`;
  return new MQError("UNSUPPORTED_ENVIRONMENT", `The broker's ${kind} failed to start${detail}`);
}

/** What its constructor throws. */
export function workerRefused(kind: Kind, cause: unknown): MQError {
  return cause instanceof MQError ? cause : new MQError("UNSUPPORTED_ENVIRONMENT", `The broker's ${kind} cannot be created; ${ADVICE}`, { cause });
}
