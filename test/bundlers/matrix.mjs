// @ts-check
/** With what TabMQ is tried: each application is a folder here, built and served by its own tool as that tool comes. */

/**
 * @typedef {object} Row
 * @property {string} app its folder
 * @property {string} [tool] the package whose version is told
 * @property {string} mode
 * @property {string[][]} [build] commands: a script in the application's folder, with its arguments
 * @property {string} [folder] what of it is served, statically
 * @property {string[]} [server] instead: a command that serves on 127.0.0.1:PORT
 * @property {string} [library] where the application gets the library from, without a bundler
 * @property {boolean} [copiesWorker] `tabmq-copy-worker` has put the worker beside the page, and the application names it
 * @property {string} [serverSays] what the server has rendered into the page
 * @property {"shared" | "dedicated"} host in which kind of worker one broker serves both tabs; dedicated: one tab's, and the other tab reaches it there
 * @property {string} why
 */

const FOUND = "the tool finds the worker by its expression";
const FROM_TEXT = ", so one tab runs it from its text for both";
const NAMED = "the application serves the worker itself and names it";

const VITE = "node_modules/vite/bin/vite.js";
const VITE_DEV = [VITE, "--host", "127.0.0.1", "--port", "PORT", "--strictPort"];

/** @type {Row[]} */
export const MATRIX = [
  { app: "vite", tool: "vite", mode: "dev", server: VITE_DEV, host: "shared", why: FOUND },
  { app: "vite", tool: "vite", mode: "build", build: [[VITE, "build"]], folder: "dist", host: "shared", why: FOUND },
  { app: "vite", tool: "vite", mode: "build --base=./", build: [[VITE, "build", "--base=./"]], folder: "dist", host: "shared", why: FOUND },
  {
    app: "vite7", tool: "vite", mode: "dev", server: VITE_DEV, host: "dedicated",
    why: `until Vite 8 the development server moves a package's script to another folder, and leaves its worker behind${FROM_TEXT}`,
  },
  { app: "vite7", tool: "vite", mode: "dev, optimizeDeps.exclude", server: [...VITE_DEV, "--config", "exclude.config.js"], host: "shared", why: FOUND },
  { app: "vite7", tool: "vite", mode: "build", build: [[VITE, "build"]], folder: "dist", host: "shared", why: FOUND },
  { app: "webpack", tool: "webpack", mode: "build", build: [["build.mjs"]], folder: ".", host: "shared", why: FOUND },
  {
    app: "next", tool: "next", mode: "build (Turbopack), start", host: "shared", why: FOUND, serverSays: `data-server="UNSUPPORTED_ENVIRONMENT"`,
    build: [["node_modules/next/dist/bin/next", "build"]], server: ["node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", "PORT"],
  },
  {
    app: "next", tool: "next", mode: "build --webpack, start", host: "shared", why: FOUND, serverSays: `data-server="UNSUPPORTED_ENVIRONMENT"`,
    build: [["node_modules/next/dist/bin/next", "build", "--webpack"]], server: ["node_modules/next/dist/bin/next", "start", "-H", "127.0.0.1", "-p", "PORT"],
  },
  { app: "parcel", tool: "parcel", mode: "build", build: [["node_modules/parcel/lib/bin.js", "build", "index.html", "--no-cache", "--no-autoinstall"]], folder: "dist", host: "shared", why: FOUND },
  {
    app: "esbuild", tool: "esbuild", mode: "build", build: [["build.mjs"]], folder: ".", host: "dedicated",
    why: `esbuild leaves the expression alone and the worker's file behind${FROM_TEXT}`,
  },
  { app: "esbuild", tool: "esbuild", mode: "build, copied worker", build: [["build.mjs"]], folder: ".", copiesWorker: true, host: "shared", why: NAMED },
  { app: "script", mode: "no bundler", library: "/node_modules/tabmq/dist/index.js", folder: ".", host: "shared", why: "the worker lies beside the library" },
  { app: "cdn", mode: "cross-origin", library: "CDN/dist/index.js", folder: ".", host: "dedicated", why: `a worker's script must come from the page's own origin${FROM_TEXT}` },
  { app: "cdn", mode: "cross-origin, copied worker", library: "CDN/dist/index.js", folder: ".", copiesWorker: true, host: "shared", why: NAMED },
];
