import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why strace cannot be used here; undefined when it can. */
export function whyNoStrace(): string | undefined {
  const tried = spawnSync("strace", ["-o", "/dev/null", "true"], { encoding: "utf8" });
  if (tried.error !== undefined) return "strace is not installed";
  return tried.status === 0 ? undefined : `strace may not trace here: ${tried.stderr.trim()}`;
}

/** One system call; its result is "?" when the process died in it. `began`: how many lines of the trace came before its beginning; they had finished by then. */
export interface Call {
  name: string;
  args: string;
  result: string;
  began: number;
  ended: number;
}

/** strace on a process of ours and all its threads. */
export class Strace {
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #exited: Promise<void>;

  /** Resolves when all threads are being traced. */
  static async attach(pid: number, options: string[]): Promise<Strace> {
    const folder = mkdtempSync(join(process.env.TABMQ_PROFILES || tmpdir(), "strace-"));
    const child = spawn("strace", ["-f", "-y", "-s", "0", "-p", String(pid), "-o", join(folder, "trace"), ...options], { stdio: ["ignore", "ignore", "pipe"] });
    const strace = new Strace(child, folder);
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.stderr!.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (said.includes(" attached")) resolve();
      });
      void strace.#exited.then(() => reject(new Error(`strace ended: ${said}`)));
    });
    return strace;
  }

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
    this.#exited = new Promise((resolve) => child.once("close", () => resolve()));
  }

  /** How many calls have failed, so far, because they were told to. */
  injected(): number {
    return this.#trace().split("(INJECTED)").length - 1;
  }

  /** Lets the process go on untraced. */
  async detach(): Promise<Call[]> {
    this.#child.kill("SIGINT");
    return this.calls();
  }

  /** What was traced, in the order of the calls' ends; resolves when the traced process has ended. */
  async calls(): Promise<Call[]> {
    await this.#exited;
    const text = this.#trace();
    rmSync(this.#folder, { recursive: true, force: true });
    return parse(text);
  }

  #trace(): string {
    return readFileSync(join(this.#folder, "trace"), "utf8");
  }
}

const UNFINISHED = " <unfinished ...>";

function parse(trace: string): Call[] {
  const open = new Map<string, { began: number; text: string }>();
  const calls: Call[] = [];
  for (const [at, line] of trace.split("\n").entries()) {
    const [, thread = "", said = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (said.endsWith(UNFINISHED)) {
      open.set(thread, { began: at, text: said.slice(0, -UNFINISHED.length) });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(said);
    const start = resumed === null ? { began: at, text: "" } : open.get(thread);
    open.delete(thread);
    const [, name, args, result] = /^(\w+)\((.*)\) += (.*)$/.exec(`${start?.text ?? ""}${resumed?.[1] ?? said}`) ?? [];
    if (start === undefined || name === undefined || args === undefined || result === undefined) continue;
    calls.push({ name, args, result, began: start.began, ended: at });
  }
  for (const { began, text } of open.values()) {
    const [, name, args] = /^(\w+)\((.*)$/.exec(text) ?? [];
    if (name !== undefined && args !== undefined) calls.push({ name, args, result: "?", began, ended: Infinity });
  }
  return calls;
}
