// @ts-check
/** Finds the Chromium that tests and benches run in; installs one where there is none. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What a browser under test must not do: update itself, call home, or refuse to run as root in a container. */
export const BROWSER_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What to tell the user when `findChromium` found none. */
export const noBrowser = () =>
  process.env.TABMQ_CHROMIUM
    ? `The browser that TABMQ_CHROMIUM names does not start: ${process.env.TABMQ_CHROMIUM}`
    : "TabMQ's tests need a browser: install Chrome, Chromium or Edge, or set TABMQ_CHROMIUM to an executable.";

/**
 * The first browser that really starts.
 * @param {{ install: boolean }} options install: fetch a browser if none starts
 * @returns {Promise<{ path: string, version: string } | undefined>}
 */
export async function findChromium({ install }) {
  const chosen = process.env.TABMQ_CHROMIUM;
  if (chosen) return tryBrowser(chosen);
  const found = await firstWorking();
  if (found || !install) return found;
  for (const command of installers()) {
    console.log(`No browser found. Installing one: ${command.map((part) => part.join(" ")).join(" && ")}`);
    if (!command.every(run)) continue;
    const installed = await firstWorking();
    if (installed) return installed;
  }
  return undefined;
}

async function firstWorking() {
  for (const path of await candidates()) {
    const browser = existsSync(path) && (await tryBrowser(path));
    if (browser) return browser;
  }
  return undefined;
}

/** @returns {Promise<string[]>} */
async function candidates() {
  const { chromium } = await import("playwright-core");
  const playwrights = chromium.executablePath();
  if (process.platform === "darwin") {
    const apps = ["Google Chrome", "Chromium", "Microsoft Edge"].map((name) => `${name}.app/Contents/MacOS/${name}`);
    return ["/Applications", join(process.env.HOME ?? "", "Applications")].flatMap((folder) => apps.map((app) => join(folder, app))).concat(playwrights);
  }
  if (process.platform === "win32") {
    const folders = [process.env.PROGRAMFILES, process.env["PROGRAMFILES(X86)"], process.env.LOCALAPPDATA].filter((folder) => folder !== undefined);
    const apps = ["Google\\Chrome\\Application\\chrome.exe", "Chromium\\Application\\chrome.exe", "Microsoft\\Edge\\Application\\msedge.exe"];
    return folders.flatMap((folder) => apps.map((app) => join(folder, app))).concat(playwrights);
  }
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge", "microsoft-edge-stable"];
  const folders = [...new Set([...(process.env.PATH ?? "").split(delimiter).filter(Boolean), "/usr/bin", "/usr/local/bin", "/snap/bin"])];
  const usual = ["/usr/lib/chromium/chromium", "/opt/google/chrome/chrome", "/opt/microsoft/msedge/msedge"];
  // Last the snap: it sees a /tmp of its own.
  const onPath = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  const isSnap = (/** @type {string} */ path) => path.startsWith("/snap/");
  return [...onPath.filter((path) => !isSnap(path)), ...usual, playwrights, ...onPath.filter(isSnap)];
}

/**
 * Starting it is the only proof: a package manager's shim exists and prints a version without a browser behind it.
 * @param {string} path
 */
async function tryBrowser(path) {
  try {
    const { chromium } = await import("playwright-core");
    const browser = await chromium.launch({ executablePath: path, headless: true, args: BROWSER_ARGS, timeout: 30_000 });
    try {
      const page = await browser.newPage();
      const works = await page.evaluate("1 + 1 === 2");
      return works ? { path, version: browser.version() } : undefined;
    } finally {
      await browser.close();
    }
  } catch {
    return undefined;
  }
}

/** @returns {string[][][]} ways to get a browser, best first; each is a list of commands that must all succeed */
function installers() {
  const cli = [process.execPath, fileURLToPath(new URL("cli.js", import.meta.resolve("playwright-core")))];
  const debianAsRoot = process.platform === "linux" && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
  if (!debianAsRoot) return [[[...cli, "install", "chromium"]]];
  const playwrights = [[...cli, "install", "--with-deps", "chromium"]];
  const debians = [
    ["apt-get", "update"],
    ["apt-get", "install", "-y", "--no-install-recommends", "chromium"],
  ];
  // On Ubuntu the chromium package only points to a snap.
  return isUbuntu() ? [playwrights] : [debians, playwrights];
}

function isUbuntu() {
  try {
    return /^ID(_LIKE)?=.*ubuntu/m.test(readFileSync("/etc/os-release", "utf8"));
  } catch {
    return false;
  }
}

/** @param {string[]} command */
function run([file = "", ...args]) {
  return spawnSync(file, args, { stdio: "inherit", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } }).status === 0;
}
