// @ts-check
/** A real Chromium on an on-disk profile, with as many tabs as a test opens, that can be killed like a crash. */
import { mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { BROWSER_ARGS, findChromium, noBrowser } from "./browser.mjs";

/**
 * @typedef {object} Launched
 * @property {import("playwright-core").BrowserContext} context
 * @property {string} profile the folder with the browser's data; pass it to the next `launch` to see what survived
 * @property {number} pid of the browser process
 * @property {() => Promise<void>} kill SIGKILL to the browser and all its processes; the profile stays
 * @property {() => Promise<void>} close orderly; removes the profile if this launch made it
 */

/** Playwright's switches against what a user's background tab is subject to; here tabs behave as users have them. */
const UNWANTED = ["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"];

/**
 * @param {object} [options]
 * @param {string} [options.profile] a folder with or for the browser's data; a fresh one by default
 * @param {boolean} [options.headless]
 * @param {boolean} [options.bfcache] leave the back/forward cache on, which Playwright switches off because `goBack` may then hang
 * @param {string[]} [options.args] more switches for Chromium
 * @returns {Promise<Launched>}
 */
export async function launch({ profile, headless = true, bfcache = false, args = [] } = {}) {
  const folder = profile ?? temporaryProfile();
  // Loaded where it is needed: most files of the other engines only read what they have to skip.
  const { chromium } = await import("playwright-core");
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: await executable(),
    headless,
    args: [...BROWSER_ARGS, ...args],
    ignoreDefaultArgs: bfcache ? [...UNWANTED, "--disable-back-forward-cache"] : UNWANTED,
  });
  const closed = new Promise((resolve) => context.once("close", resolve));
  let running = true;
  closed.then(() => (running = false));
  const pid = await browserPid(context);

  return {
    context,
    profile: folder,
    pid,
    async kill() {
      // Until Playwright has seen the browser exit it is an unreaped child of ours, so its number cannot belong to another.
      if (running) killTree(pid);
      await closed;
      removeSocket(folder);
    },
    async close() {
      if (running) await context.close();
      await closed;
      if (!profile) removeProfile(folder);
    },
  };
}

/** A fresh folder, removed when this process, or the vitest run around it (profiles.mjs), ends. */
export function temporaryProfile() {
  const folder = mkdtempSync(join(process.env.TABMQ_PROFILES || tmpdir(), "tabmq-profile-"));
  temporaryProfiles.add(folder);
  return folder;
}

/** @type {Set<string>} */
const temporaryProfiles = new Set();
process.on("exit", () => temporaryProfiles.forEach(removeProfile));

/** @param {string} folder */
function removeProfile(folder) {
  temporaryProfiles.delete(folder);
  try {
    // A dying browser may still write into it.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  } catch {
    temporaryProfiles.add(folder);
  }
}

/**
 * What a killed Chromium leaves outside its profile, on Linux and macOS: the folder with the socket of its process singleton.
 * @param {string} profile
 */
function removeSocket(profile) {
  try {
    const folder = dirname(readlinkSync(join(profile, "SingletonSocket")));
    if (/^\.?(org\.chromium|com\.google|com\.microsoft)\./.test(basename(folder))) rmSync(folder, { recursive: true, force: true });
  } catch {
    // No link: nothing was left.
  }
}

/** @type {Promise<string> | undefined} */
let found;

function executable() {
  // vitest's config and test/run.mjs leave a path there that they have tried out.
  found ??= process.env.TABMQ_CHROMIUM
    ? Promise.resolve(process.env.TABMQ_CHROMIUM)
    : findChromium({ install: false }).then((browser) => {
        if (!browser) throw new Error(noBrowser());
        return browser.path;
      });
  return found;
}

/**
 * The browser says itself which process it is; no list of processes is searched.
 * @param {import("playwright-core").BrowserContext} context
 */
async function browserPid(context) {
  const browser = context.browser();
  if (!browser) throw new Error("Playwright gave no browser for a persistent context");
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  const pid = processInfo.find(({ type }) => type === "browser")?.id;
  if (!pid) throw new Error("Chromium did not name its browser process");
  return pid;
}

/** @param {number} pid */
function killTree(pid) {
  // Playwright starts the browser as the leader of a process group of its own, which renderers and services join.
  // On Windows they end with the browser, which owns their job.
  process.kill(process.platform === "win32" ? pid : -pid, "SIGKILL");
}
