import { MQError } from "../../model/errors.ts";
import type { MessageExt } from "../../model/message.ts";
import type { HttpOutboxOptions, HttpRequest } from "./options.ts";

/** RFC 8941's String takes printable ASCII; a `msgId` is hexadecimal. */
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, (sign) => `\\${sign}`)}"`;

/** What `fetch` is given for a message; null = there is nothing to send. Throws what the application's functions throw. */
export async function fetchArguments({ request, idempotencyKey }: Pick<HttpOutboxOptions, "request" | "idempotencyKey">, message: MessageExt): Promise<[input: Request | string | URL, init: RequestInit] | null> {
  const made = await request(message);
  if (made === null || made === undefined) return null;
  const headers = new Headers(made.headers);
  // A key that the application has chosen is the better one: it knows what is the same order.
  if (!headers.has("idempotency-key")) headers.set("idempotency-key", idempotencyKey?.(message) ?? quoted(message.msgId));
  if (isRequest(made)) return [made, { headers }];
  const { url, ...init } = made;
  if (typeof url !== "string" && !(url instanceof URL)) throw new MQError("INVALID_PARAMETER", "request must answer a Request, or an object with a url.", { field: "request.url" });
  const method = (init.method ?? "POST").toUpperCase();
  if (init.body !== undefined || method === "GET" || method === "HEAD") return [url, { ...init, method, headers }];
  const type = { json: "application/json", text: "text/plain; charset=utf-8", bytes: null }[message.bodyKind];
  if (type !== null && !headers.has("content-type")) headers.set("content-type", type);
  return [url, { ...init, method, headers, body: message.bodyKind === "bytes" ? (message.body as Uint8Array<ArrayBuffer>) : message.text() }];
}

/** By its shape: it may come from another window, or be another library's. */
function isRequest(made: Request | HttpRequest): made is Request {
  return typeof (made as Partial<Request>).clone === "function";
}
