import { MQError, textOf } from "../../model/errors.ts";
import type { MessageExt } from "../../model/message.ts";
import type { HttpOutboxOptions, HttpRequest } from "./options.ts";

/** RFC 8941's String takes printable ASCII; a `msgId` is hexadecimal. */
const quoted = (text: string): string => `"${text.replaceAll(/["\\]/g, (sign) => `\\${sign}`)}"`;

/**
 * What `fetch` is given for a message; null = there is nothing to send. Throws what the application's functions throw, and where `fetch`
 * would throw each time.
 *
 * Redirects are not followed unless the application says so: a POST that is led elsewhere becomes a GET on its way (301, 302, 303), and
 * the 200 of a login page would pass for the server's word that it has the order.
 */
export async function fetchArguments({ request, idempotencyKey }: Pick<HttpOutboxOptions, "request" | "idempotencyKey">, message: MessageExt): Promise<[input: Request | string | URL, init: RequestInit] | null> {
  const made = await request(message);
  if (made === null) return null;
  // Not "nothing to send": a forgotten `return` must not count orders as sent.
  if (typeof made !== "object") throw illegal("must answer a Request, an object with a url, or null", "request");
  const headers = new Headers(made.headers);
  // A key that the application has chosen is the better one: it knows what is the same order.
  if (!headers.has("idempotency-key")) headers.set("idempotency-key", idempotencyKey?.(message) ?? quoted(message.msgId));
  const redirect = "manual";
  if (isRequest(made)) {
    if (made.bodyUsed) throw illegal("answers a Request whose body has been read; it is asked for a new one each time", "request");
    if (!isFetched(made.url)) throw illegal(`answers a Request whose url fetch cannot take: ${made.url}`, "request");
    // It follows unless it was told otherwise, and does not tell whether it was.
    return [made, made.redirect === "follow" ? { headers, redirect } : { headers }];
  }
  const { url, ...init } = { redirect, ...made } as HttpRequest;
  if (!isAddress(url)) throw illegal(`has no url that can be read: ${String(url)}`, "request.url");
  if (!isFetched(url)) throw illegal(`has a url that fetch cannot take: ${String(url)}`, "request.url");
  checkInit(init);
  const method = (init.method ?? "POST").toUpperCase();
  const isBare = method === "GET" || method === "HEAD";
  if (isBare && init.body !== undefined && init.body !== null) throw illegal(`has a body, which ${method} cannot have`, "request.body");
  if (init.body !== undefined || isBare) return [url, { ...init, method, headers }];
  const type = { json: "application/json", text: "text/plain; charset=utf-8", bytes: null }[message.bodyKind];
  if (type !== null && !headers.has("content-type")) headers.set("content-type", type);
  return [url, { ...init, method, headers, body: message.bodyKind === "bytes" ? (message.body as Uint8Array<ArrayBuffer>) : message.text() }];
}

function illegal(what: string, field: string): MQError {
  return new MQError("INVALID_PARAMETER", `request ${what}.`, { field });
}

/** What `fetch` refuses whatever the network does, such as a method that is forbidden; the body is not touched. */
function checkInit(init: RequestInit): void {
  try {
    // oxlint-disable-next-line no-new -- it throws
    new Request("https://relative.invalid", { ...init, body: null });
  } catch (cause) {
    throw illegal(`is refused by fetch: ${textOf(cause)}`, "request");
  }
}

/** Schemes that `fetch` knows (its standard, section "scheme fetch"), and the page's own, which an application's shell may have made up. Any other fails each time, as if there were no network. */
function isFetched(url: string | URL): boolean {
  const { protocol } = resolved(url);
  return /^(https?|data|blob):$/.test(protocol) || protocol === (globalThis as { location?: { protocol: string } }).location?.protocol;
}

/** Also one that is relative to the page's address. */
function isAddress(url: unknown): url is string | URL {
  if (typeof url !== "string") return url instanceof URL;
  try {
    return resolved(url) instanceof URL;
  } catch {
    return false;
  }
}

function resolved(url: string | URL): URL {
  return new URL(url, "https://relative.invalid");
}

/** By its shape: it may come from another window, or be another library's. */
function isRequest(made: Request | HttpRequest): made is Request {
  return typeof (made as Partial<Request>).clone === "function";
}
