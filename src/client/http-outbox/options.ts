import type { MessageExt } from "../../model/message.ts";
import { checkClientTopic, checkGroup } from "../../model/names.ts";
import { callable, integer, named, oneOf, optional, record } from "../../protocol/validate.ts";
import type { HttpVerdict } from "./answer.ts";

/**
 * A request as `fetch` takes it, and its address. Missing `method`: POST. Missing `body` (where the method has one): the message's own,
 * with a `content-type` for JSON and text unless there is one; `null`: none. Missing `redirect`: `"manual"`, a redirect is
 * an answer that the message was not taken; so it is for a `Request`. `signal` is the outbox's own.
 */
export interface HttpRequest extends Omit<RequestInit, "signal"> {
  url: string | URL;
}

/** What `mq.createHttpOutbox` takes. The same in every tab of a group. */
export interface HttpOutboxOptions {
  /** Tabs of one group share the queues; each queue is sent by one tab at a time. */
  consumerGroup: string;
  topic: string;
  /**
   * What to send for a message. Called for every try anew, so that a token is fresh and a body unread. `null`: there is nothing to send,
   * the message is done. When it throws, or answers what cannot be sent, the message is a dead letter at once, because it would be so
   * again; an error with `retriable: true` is tried again, as a failure of the network is. Its time is part of `timeout`.
   */
  request: (message: MessageExt) => Request | HttpRequest | null | Promise<Request | HttpRequest | null>;
  /**
   * Looks at an answer before the message counts as done, and may judge it by itself; nothing = as usual. For what is to be written
   * down before that (an id that the server has given), and for what this server means: `409` as "done", `401` as "retry" after a login.
   * It may read the body. When it throws, or answers anything else, the message is tried again.
   */
  onResponse?: (response: Response, message: MessageExt) => HttpVerdict | void | Promise<HttpVerdict | void>;
  /** The value of the header `Idempotency-Key`, as it is sent. Default the `msgId` in quotes, as the IETF's draft has it. */
  idempotencyKey?: (message: MessageExt) => string;
  /** When a message of an entity (`messageGroup`) is a dead letter, those behind it go on, or wait until it is sent again, replaced or discarded. Default `continue`. */
  onDead?: "continue" | "block";
  /** Answers that ask for another try (408, 425, 429, 5xx) before a message is given up. Default: no limit. Failures of the network never count. */
  maxAttempts?: number;
  /** Requests on their way at once, in this tab. Default 6. */
  concurrency?: number;
  /** How long one try may take, `request` and `onResponse` included, ms. Default 30 s. */
  timeout?: number;
  /** Wait before the second try, ms; it doubles from try to try. Default 1 s. */
  minRetryDelay?: number;
  /** The longest wait between two tries, ms. Default 5 min. A `Retry-After` may ask for more, up to a day. */
  maxRetryDelay?: number;
}

const MAX_MS = 2 ** 31 - 1;

export const httpOutboxOptions = record({
  consumerGroup: named(checkGroup),
  topic: named(checkClientTopic),
  request: callable<HttpOutboxOptions["request"]>,
  onResponse: optional(callable<NonNullable<HttpOutboxOptions["onResponse"]>>),
  idempotencyKey: optional(callable<NonNullable<HttpOutboxOptions["idempotencyKey"]>>),
  onDead: optional(oneOf("continue", "block")),
  maxAttempts: optional(integer(1, MAX_MS)),
  concurrency: optional(integer(1, 1000)),
  timeout: optional(integer(1, MAX_MS)),
  minRetryDelay: optional(integer(1, MAX_MS)),
  maxRetryDelay: optional(integer(1, MAX_MS)),
});
