import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { once } from "node:events";

/** A program with all the processes it starts, which end together, and at the latest with this one. */
export class ProcessGroup {
  static readonly #running = new Set<ProcessGroup>();
  readonly leader: ChildProcess;
  readonly ended: Promise<void>;
  #isRunning = true;

  constructor(path: string, args: string[], options: SpawnOptions) {
    if (ProcessGroup.#running.size === 0) process.once("exit", endAll);
    this.leader = spawn(path, args, { ...options, detached: true });
    this.ended = once(this.leader, "exit").then(() => {
      this.#isRunning = false;
      ProcessGroup.#running.delete(this);
      if (ProcessGroup.#running.size === 0) process.off("exit", endAll);
    });
    ProcessGroup.#running.add(this);
  }

  static get running(): Iterable<ProcessGroup> {
    return ProcessGroup.#running;
  }

  signal(name: "SIGTERM" | "SIGKILL"): void {
    // Until we have seen it exit it is our unreaped child, so its number cannot belong to another. Windows has no groups: there a browser's job ends with it.
    if (this.#isRunning) process.kill(process.platform === "win32" ? this.leader.pid! : -this.leader.pid!, name);
  }

  async end(name: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.signal(name);
    await this.ended;
  }
}

function endAll(): void {
  for (const group of ProcessGroup.running) group.signal("SIGTERM");
}

// Signals end a process without its exit event, unless somebody else sees to an orderly end; and those from a terminal do not reach other groups.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    if (process.listenerCount(signal) === 0) process.exit(1);
  });
}
