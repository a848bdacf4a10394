// @ts-check
/** A static server on 127.0.0.1, for tests and benches that need the built package on a real origin. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize, resolve, sep } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const DIST = fileURLToPath(new URL("../../dist", import.meta.url));

/** @type {Record<string, string>} */
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".webmanifest": "application/manifest+json; charset=utf-8",
  ".wasm": "application/wasm",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

/** Ports that servers of this process have had. @type {Set<number>} */
const given = new Set();

/**
 * @param {object} [options]
 * @param {string} [options.folder] served at /
 * @param {string} [options.dist] served at /dist/; the package's own by default
 * @param {Record<string, string>} [options.pages] pages given as text, by path: `{ "/": "<!doctype html>…" }`; they go before files
 * @param {Record<string, Record<string, string>>} [options.headers] extra headers by path; a path that ends in / counts for all below it
 * @param {Record<string, (body: unknown) => unknown>} [options.posts] who gets what a page posts as JSON, by path; the page waits for a promise
 * @param {Record<string, (request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => void>} [options.routes] who answers whatever is asked at a path, as it likes
 * @param {number} [options.port] 0 = any free one; a fixed one keeps the origin, and so its data, across servers
 * @returns {Promise<{ origin: string, port: number, close(): Promise<void> }>}
 */
export async function serve({ folder, dist = DIST, pages = {}, headers = {}, posts = {}, routes = {}, port = 0 } = {}) {
  const server = createServer(async (request, response) => {
    const path = pathOf(request.url);
    if (path !== undefined && Object.hasOwn(routes, path)) return routes[path]?.(request, response);
    if (request.method === "POST" && path !== undefined && posts[path]) {
      // A page that dies while it posts has told nothing.
      const body = await text(request).catch(() => undefined);
      if (body !== undefined) await posts[path](JSON.parse(body));
      // Without no-store: in Chromium, whoever fetches something that may not be stored is not kept for going back.
      return response.end();
    }
    response.setHeader("cache-control", "no-store");
    for (const [prefix, extra] of Object.entries(headers)) {
      if (path === prefix || (prefix.endsWith("/") && path?.startsWith(prefix))) response.setHeaders(new Map(Object.entries(extra)));
    }
    if (path !== undefined && Object.hasOwn(pages, path)) {
      response.setHeader("content-type", TYPES[extname(path)] ?? "text/html; charset=utf-8");
      return response.end(pages[path]);
    }
    const file = path?.startsWith("/dist/") ? inside(dist, path.slice("/dist".length)) : folder && path && inside(folder, path);
    const found = file && (await fileAt(file));
    if (!found) {
      response.writeHead(404, { "content-type": "text/plain" });
      return response.end("not found");
    }
    response.setHeader("content-type", TYPES[extname(found)] ?? "application/octet-stream");
    createReadStream(found).on("error", () => response.destroy()).pipe(response);
  });
  const listen = async () => {
    await new Promise((listening, failed) => server.once("error", failed).listen(port, "127.0.0.1", () => listening(undefined)));
    const address = server.address();
    if (!address || typeof address === "string") throw new Error("the server has no port");
    return address.port;
  };
  let listened = await listen();
  if (port === 0) {
    // The same port would be the same origin to a browser, with all that a test before has left there.
    while (given.has(listened)) {
      await new Promise((closed) => server.close(closed));
      listened = await listen();
    }
  }
  given.add(listened);
  return {
    origin: `http://127.0.0.1:${listened}`,
    port: listened,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** @param {string | undefined} url */
function pathOf(url) {
  try {
    return decodeURIComponent(new URL(url ?? "/", "http://localhost").pathname);
  } catch {
    return undefined;
  }
}

/**
 * @param {string} folder
 * @param {string} path
 */
function inside(folder, path) {
  const base = resolve(folder);
  const file = normalize(join(base, path));
  return file === base || file.startsWith(base + sep) ? file : undefined;
}

/**
 * @param {string} file
 * @returns {Promise<string | undefined>}
 */
async function fileAt(file) {
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory()) return fileAt(join(file, "index.html"));
  return found?.isFile() ? file : undefined;
}
