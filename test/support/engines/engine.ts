/**
 * The seam between tests with several tabs and the browser they run in. A project of vitest names its engine in
 * TABMQ_ENGINE; what an engine cannot do stands in cannot.ts.
 */
export const ENGINES = ["chromium", "firefox", "webkit"] as const;
export type EngineName = (typeof ENGINES)[number];

export interface LaunchOptions {
  /** A folder with or for the browser's data. An engine that keeps nothing on disk leaves it empty. */
  profile: string;
  /** Leave the back/forward cache on, which drivers switch off. */
  bfcache: boolean;
}

export interface EngineBrowser {
  /** Keeps nothing on disk: its data end with it. */
  readonly isEphemeral: boolean;
  newPage(): Promise<EnginePage>;
  /** The open pages that `newPage` gave. */
  pages(): EnginePage[];
  /** SIGKILL to the browser and all its processes; the profile stays. */
  kill(): Promise<void>;
  /** Orderly. */
  close(): Promise<void>;
}

export interface EnginePage {
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  /** Runs a function in the page. It must not refer to anything outside itself; argument and result are JSON, or undefined. */
  evaluate<Result>(work: () => Result): Promise<Awaited<Result>>;
  evaluate<Result, Arg>(work: (arg: Arg) => Result, arg: Arg): Promise<Awaited<Result>>;
  /** The same for a function that is given as source text. */
  call(source: string, arg: unknown): Promise<unknown>;
  close(): Promise<void>;
  /** Kills the page's process. */
  crash(): Promise<void>;
}

export type Launch = (options: LaunchOptions) => Promise<EngineBrowser>;

/** What `EnginePage` can be made of. */
export abstract class SourcePage implements EnginePage {
  abstract goto(url: string): Promise<unknown>;
  abstract reload(): Promise<unknown>;
  abstract call(source: string, arg: unknown): Promise<unknown>;
  abstract close(): Promise<void>;
  abstract crash(): Promise<void>;

  evaluate<Result>(work: () => Result): Promise<Awaited<Result>>;
  evaluate<Result, Arg>(work: (arg: Arg) => Result, arg: Arg): Promise<Awaited<Result>>;
  evaluate(work: unknown, arg?: unknown): Promise<unknown> {
    return this.call(String(work), arg);
  }
}

/**
 * A call of a function, as an expression whose value is a promise of text for `answerOf`. It needs no `eval` in the page.
 * JSON is made there: each protocol has ideas of its own about undefined and about an object that comes twice.
 */
export function callExpression(source: string, arg: unknown): string {
  return `(async () => JSON.stringify({ value: await (${source})(${JSON.stringify(arg) ?? ""}) }))()`;
}

export function answerOf(text: unknown): unknown {
  return (JSON.parse(text as string) as { value: unknown }).value;
}

export function engineName(): EngineName {
  const name = process.env.TABMQ_ENGINE ?? "chromium";
  if (!ENGINES.some((known) => known === name)) throw new Error(`TABMQ_ENGINE names no engine: ${name}`);
  return name as EngineName;
}

/** Only the engine's own tools are loaded. */
export async function launcher(name: EngineName): Promise<Launch> {
  if (name === "firefox") return (await import("./firefox.ts")).launchFirefox;
  if (name === "webkit") return (await import("./webkit.ts")).launchWebKit;
  return (await import("./chromium.ts")).launchChromium;
}
