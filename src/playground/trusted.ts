/** Trusted Types, as far as they are needed here; the DOM types do not know them yet. */
interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

let policy: ReturnType<TrustedTypes["createPolicy"]> | undefined;

/** The URL of one of the page's own workers, as a page that requires Trusted Types takes it: it allows the policy "tabmq-playground". */
export function trustedScript(url: string): string {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  if (trustedTypes === undefined) return url;
  policy ??= trustedTypes.createPolicy("tabmq-playground", { createScriptURL });
  return policy.createScriptURL(url);
}

function createScriptURL(url: string): string {
  if (new URL(url, location.href).origin === location.origin) return url;
  throw new TypeError(`a worker of this page comes from its own origin, not from ${url}`);
}
