import { trustedScript } from "./trusted.ts";

/** Only the built page has a service worker. Where it may not be there (plain http, a private window), the page works as long as there is a network. */
export async function worksOffline(): Promise<void> {
  if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
  await navigator.serviceWorker.register(trustedScript("./sw.js"), { updateViaCache: "none" }).catch(() => {});
}
