/// <reference lib="webworker" />
/**
 * Keeps the page usable without a network, from its first visit on. The build puts in what it is made of (vite.config.ts).
 *
 * Everything is fetched before a version is used, so that a page and what it loads later are always of one build. A new
 * version serves whoever loads the page next. Tabs that are open go on with their own: what they still have to load comes
 * from the caches of the versions before.
 */
declare const BUILD_VERSION: string;
/** Relative to this script; "./" is the page. */
declare const BUILD_FILES: readonly string[];

const worker = self as unknown as ServiceWorkerGlobalScope;
const { scope } = worker.registration;
/** Another playground of the same origin has other caches. */
const PREFIX = `tabmq-playground ${new URL(scope).pathname} `;
const NAME = PREFIX + BUILD_VERSION;
/** Versions before this one that open tabs may be. */
const KEPT = 2;

worker.addEventListener("install", (event) => event.waitUntil(install()));
worker.addEventListener("activate", (event) => event.waitUntil(activate()));
worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(scope)) event.respondWith(answer(request));
});

/** All or nothing: a file that is missing leaves the version before in charge. */
async function install(): Promise<void> {
  try {
    const cache = await caches.open(NAME);
    await cache.addAll(BUILD_FILES.map((file) => new Request(new URL(file, scope), { cache: "no-cache" })));
  } catch (error) {
    await caches.delete(NAME);
    throw error;
  }
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  // In the order in which they were made.
  const before = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
  await Promise.all(before.slice(0, Math.max(0, before.length - KEPT)).map((name) => caches.delete(name)));
  // The tab of the first visit too: it has yet to load its panels.
  await worker.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== NAME);
  for (const cacheName of [NAME, ...names.reverse()]) {
    const found = await caches.match(placeOf(request), { cacheName, ignoreVary: true });
    if (found !== undefined) return found;
  }
  return fetch(request);
}

/** The page is one file, whatever its address asks it to show. */
function placeOf(request: Request): string {
  const { origin, pathname } = new URL(request.url);
  const place = origin + pathname;
  return place === `${scope}index.html` ? scope : place;
}
