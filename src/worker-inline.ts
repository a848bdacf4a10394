import source from "virtual:worker-source";

/**
 * Starts the broker's script from its text, as a dedicated worker: where its file cannot be had, because the library comes
 * from another origin (a CDN) or a bundler has left the file behind. It cannot be a SharedWorker: a blob's URL is the
 * document's own, so each tab would get one for itself, and a data URL has an origin of its own, and so another IndexedDB.
 * `worker-src` in the page's Content-Security-Policy must allow `blob:`. As heavy as the worker: to be loaded by `import()`.
 *
 * @throws DOMException SecurityError, or an `error` event of the worker: the page's policy forbids it
 */
export function startInlineWorker(name?: string): Worker {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return new Worker(url, name === undefined ? {} : { name });
  } finally {
    // The worker has the blob by now, though it has not read it yet.
    URL.revokeObjectURL(url);
  }
}
