/**
 * WebKitGTK behind the engines' seam: its driver, which starts MiniBrowser, on a display that nobody sees.
 * Sessions under automation are ephemeral: nothing of them reaches the disk, so nothing survives `close` or `kill`.
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { answerOf, callExpression, type EngineBrowser, type LaunchOptions, SourcePage } from "./engine.ts";
import { findWebKit } from "./find.mjs";
import { ProcessGroup } from "./process-group.ts";
import { WebDriverSession } from "./webdriver.ts";

/** How often a page is asked for the results of calls that are under way, ms. */
const POLL = 10;

export async function launchWebKit({ profile }: LaunchOptions): Promise<WebKitBrowser> {
  const found = findWebKit();
  if (found === undefined) throw new Error("There is no WebKitGTK here.");
  const xvfb = new ProcessGroup(found.xvfb, ["-displayfd", "3", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"], { stdio: ["ignore", "ignore", "ignore", "pipe"] });
  const processes = [xvfb];
  try {
    const folders = { HOME: profile, XDG_DATA_HOME: `${profile}/data`, XDG_CACHE_HOME: `${profile}/cache`, XDG_CONFIG_HOME: `${profile}/config` };
    const env = { ...process.env, ...folders, DISPLAY: await displayName(xvfb), GDK_BACKEND: "x11", LIBGL_ALWAYS_SOFTWARE: "1" };
    const port = await freePort();
    // The browser and its processes join the driver's group.
    processes.unshift(new ProcessGroup(found.driver, [`--port=${port}`], { env, stdio: "ignore" }));
    const origin = `http://127.0.0.1:${port}`;
    await answers(origin);
    const session = await WebDriverSession.start(origin, { browserName: "MiniBrowser", "webkitgtk:browserOptions": { binary: found.miniBrowser, args: ["--automation"] } });
    return new WebKitBrowser(session, (await session.command("GET", "/window")) as string, processes);
  } catch (error) {
    await end(processes);
    throw error;
  }
}

/** The display goes last and in order: killed, it leaves its socket behind. */
async function end([...processes]: ProcessGroup[]): Promise<void> {
  const xvfb = processes.pop();
  for (const group of processes) await group.end("SIGKILL");
  await xvfb?.end("SIGTERM");
}

class WebKitBrowser implements EngineBrowser {
  readonly isEphemeral = true;
  readonly #session: WebDriverSession;
  /** Stays open: without a window the browser ends. */
  readonly #first: string;
  readonly #processes: ProcessGroup[];
  readonly #pages = new Set<WebKitPage>();

  constructor(session: WebDriverSession, first: string, processes: ProcessGroup[]) {
    this.#session = session;
    this.#first = first;
    this.#processes = processes;
  }

  async newPage(): Promise<WebKitPage> {
    // No tab: those lie behind one another, and in a hidden page frames stop and timers go once a second.
    const { handle } = (await this.#session.inWindow(this.#first, "POST", "/window/new", { type: "window" })) as { handle: string };
    const page = new WebKitPage(this.#session, handle, () => this.#pages.delete(page));
    this.#pages.add(page);
    return page;
  }

  pages(): WebKitPage[] {
    return [...this.#pages];
  }

  kill(): Promise<void> {
    return end(this.#processes);
  }

  async close(): Promise<void> {
    await this.#session.command("DELETE", "").catch(() => {});
    await this.kill();
  }
}

interface Waiting {
  /** The document in which the call was begun; no other one will have its result. */
  document: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** What became of a call: the text it answered, or the error. */
type Settled = [id: number, answer: string | null, error: string];

/**
 * A call may take long, or wait for what another tab does, while a driver's session carries out one command at a time.
 * So calls are only begun there; the page keeps their results until it is asked.
 */
class WebKitPage extends SourcePage {
  readonly #session: WebDriverSession;
  readonly #handle: string;
  readonly #onClosed: () => void;
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #isPolling = false;

  constructor(session: WebDriverSession, handle: string, onClosed: () => void) {
    super();
    this.#session = session;
    this.#handle = handle;
    this.#onClosed = onClosed;
  }

  async goto(url: string): Promise<void> {
    await this.#leave("/url", { url });
    // In a new window the driver may take the end of the blank page's loading for that of this one.
    while (!(await this.#execute(`return location.href === ${JSON.stringify(new URL(url).href)} && document.readyState === "complete"`))) await pause();
  }

  async reload(): Promise<void> {
    await this.#execute("globalThis.tabmqLeft = true;");
    await this.#leave("/refresh", {});
    // As there: the driver may be back while the old document, or half of the new one, is there.
    while (!(await this.#execute(`return !("tabmqLeft" in globalThis) && document.readyState === "complete"`))) await pause();
  }

  async call(source: string, arg: unknown): Promise<unknown> {
    const id = this.#next++;
    // No name that the source could mean otherwise, such as `document`.
    const document = (await this.#execute(`
      const tabmqOwn = (globalThis.tabmqCalls ??= { settled: [], document: crypto.randomUUID() });
      ${callExpression(source, arg)}.then((answer) => tabmqOwn.settled.push([${id}, answer, ""]), (error) => tabmqOwn.settled.push([${id}, null, String(error)]));
      return tabmqOwn.document;`)) as string;
    const settled = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { document, resolve, reject }));
    void this.#poll();
    return settled;
  }

  async close(): Promise<void> {
    await this.#session.inWindow(this.#handle, "DELETE", "/window");
    this.#gone("closed");
    this.#onClosed();
  }

  crash(): Promise<void> {
    return Promise.reject(new Error("the driver gives up its session when a page's process ends"));
  }

  async #leave(path: string, body: unknown): Promise<void> {
    await this.#session.inWindow(this.#handle, "POST", path, body);
    this.#gone("left");
  }

  #execute(script: string): Promise<unknown> {
    return this.#session.inWindow(this.#handle, "POST", "/execute/sync", { script, args: [] });
  }

  async #poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      while (this.#waiting.size > 0) {
        const [document, settled] = (await this.#execute(`
          const calls = globalThis.tabmqCalls;
          return calls ? [calls.document, calls.settled.splice(0)] : ["", []];`)) as [string, Settled[]];
        for (const [id, answer, error] of settled) {
          const call = this.#waiting.get(id);
          this.#waiting.delete(id);
          if (answer === null) call?.reject(new Error(error));
          else call?.resolve(answerOf(answer));
        }
        for (const [id, call] of this.#waiting) {
          if (call.document !== document && this.#waiting.delete(id)) call.reject(new Error("the page was left during a call"));
        }
        if (settled.length === 0) await pause();
      }
    } catch (error) {
      this.#gone(String(error));
    } finally {
      this.#isPolling = false;
    }
  }

  /** No call under way will be answered. */
  #gone(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`the page was ${why} during a call`));
    this.#waiting.clear();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, POLL));
}

/** X finds a free number for its display itself, and tells it. */
async function displayName(xvfb: ProcessGroup): Promise<string> {
  const ended = once(xvfb.leader, "exit").then(() => Promise.reject(new Error("Xvfb does not start")));
  const [number] = (await Promise.race([once(xvfb.leader.stdio[3]!, "data"), ended])) as [Buffer];
  return `:${String(number).trim()}`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function answers(origin: string): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isReady = await fetch(`${origin}/status`).then(
      (response) => response.ok,
      () => false,
    );
    if (isReady) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("WebKitWebDriver does not answer");
}
