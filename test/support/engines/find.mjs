// @ts-check
/** Which engines are here. Chromium is a must and browser.mjs finds it; the others are tested where they are installed. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

const WEBKIT_NEEDS = "WebKitGTK's driver, its MiniBrowser and Xvfb (Debian: webkit2gtk-driver, xvfb)";

/** @returns {string | undefined} */
export function findFirefox() {
  const chosen = process.env.TABMQ_FIREFOX;
  if (chosen !== undefined) return chosen === "" ? undefined : chosen;
  const apps =
    process.platform === "darwin"
      ? ["/Applications/Firefox.app/Contents/MacOS/firefox"]
      : process.platform === "win32"
        ? [process.env.PROGRAMFILES, process.env["PROGRAMFILES(X86)"]].map((folder) => join(folder ?? "", "Mozilla Firefox", "firefox.exe"))
        : [onPath("firefox-esr"), onPath("firefox")];
  return apps.find((app) => app !== undefined && existsSync(app));
}

/** @returns {{ driver: string, miniBrowser: string, xvfb: string } | undefined} */
export function findWebKit() {
  const [driver, xvfb] = [onPath("WebKitWebDriver"), onPath("Xvfb")];
  const folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/libexec", "/usr/lib"];
  const miniBrowser = folders.flatMap((folder) => ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"].map((api) => join(folder, api, "MiniBrowser"))).find(existsSync);
  return driver && xvfb && miniBrowser ? { driver, miniBrowser, xvfb } : undefined;
}

/**
 * The engines to test. TABMQ_ENGINES: these, whatever else is here.
 * @returns {import("./engine.ts").EngineName[]}
 */
export function engines() {
  if (process.env.TABMQ_ENGINES) return /** @type {import("./engine.ts").EngineName[]} */ (process.env.TABMQ_ENGINES.split(","));
  return ["chromium", ...(findFirefox() ? /** @type {const} */ (["firefox"]) : []), ...(findWebKit() ? /** @type {const} */ (["webkit"]) : [])];
}

/**
 * The optional engines, and why one is not tested here.
 * @returns {{ engine: string, reason: string | undefined }[]}
 */
export function missing() {
  const chosen = process.env.TABMQ_ENGINES?.split(",");
  const reasons = { firefox: findFirefox() ? undefined : "no Firefox found (Debian: firefox-esr)", webkit: findWebKit() ? undefined : `not found: ${WEBKIT_NEEDS}` };
  return Object.entries(reasons).map(([engine, reason]) => ({ engine, reason: chosen && !chosen.includes(engine) ? "left out by TABMQ_ENGINES" : reason }));
}

/** @param {string} name */
function onPath(name) {
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/local/bin"].map((folder) => join(folder, name)).find(existsSync);
}
