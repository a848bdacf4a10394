import { MQError } from "../model/errors.ts";

/** The name that a page with `trusted-types` in its Content-Security-Policy has to allow. */
const TRUSTED_TYPES_POLICY = "tabmq";

/** Trusted Types, as far as they are needed here; the DOM types do not know them yet. */
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | null = null;
/** The one URL this policy has ever been for. */
let ownUrl: string | null = null;

/** What the policy lets through: one script of the page's own origin, whichever comes first, which is our worker's. */
function createScriptURL(url: string): string {
  const { origin, protocol } = new URL(url, globalThis.location.href);
  ownUrl ??= url;
  // Of a frame without an address (about:blank) only `origin` says whose it is.
  if (origin === globalThis.origin && protocol !== "blob:" && url === ownUrl) return url;
  throw new TypeError(`the policy "${TRUSTED_TYPES_POLICY}" is for TabMQ's own worker, not for ${url}`);
}

/**
 * Runs `start`, which makes the worker by a literal `new SharedWorker(new URL(…))`, or `new Worker(…)`, where the page
 * requires Trusted Types too. The expression has to stay literal, or bundlers do not see the worker; so for the length
 * of this call, and nobody else runs in it, that constructor is one that turns the URL into a trusted one.
 */
export function startTrusted<Kind extends SharedWorker | Worker>(constructorName: "SharedWorker" | "Worker", start: () => Kind): Kind {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  if (trustedTypes === undefined) return start();
  try {
    policy ??= trustedTypes.createPolicy(TRUSTED_TYPES_POLICY, { createScriptURL });
  } catch {
    return startUntrusted(start);
  }
  const trusted = policy;
  const native = globalThis[constructorName];
  const makesTrusted = function (url: string | URL, options?: WorkerOptions) {
    return new native(trusted.createScriptURL(String(url)), options);
  };
  // False where the page has frozen its globals.
  if (!Reflect.set(globalThis, constructorName, makesTrusted)) return startUntrusted(start);
  try {
    return start();
  } finally {
    Reflect.set(globalThis, constructorName, native);
  }
}

/** Not allowed to have a policy. That need not matter: the page may restrict names and require nothing, or have a default policy. */
function startUntrusted<Kind>(start: () => Kind): Kind {
  try {
    return start();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new MQError(
      "UNSUPPORTED_ENVIRONMENT",
      `This page requires Trusted Types and does not let TabMQ have its policy: add "${TRUSTED_TYPES_POLICY}" to trusted-types in its Content-Security-Policy, or make the worker yourself (connect.worker).`,
      { cause },
    );
  }
}
