/** vitest's runner for projects with an engine: skips what cannot.ts lists, and fails a file about which it lists what is not there. */
import { relative, sep } from "node:path";
import { type RunnerTask, type RunnerTaskResult, type RunnerTestFile, TestRunner } from "vitest";
import { limitsOf } from "./cannot.ts";
import { engineName } from "./engine.ts";

export default class EngineRunner extends TestRunner {
  onCollected(files: RunnerTestFile[]): void {
    for (const file of files) {
      const limits = limitsOf(engineName(), relative(this.config.root, file.filepath).split(sep).join("/"));
      for (const { reason, beginning } of limits) {
        if (skip(file, beginning, reason) === 0) throw new Error(`cannot.ts: no test begins with "${beginning}"`);
      }
    }
  }
}

/** Returns how many tests there were to skip. */
function skip(task: RunnerTask, beginning: string, reason: string, before = ""): number {
  if (task.type === "test") {
    if (!`${before}${task.name}`.startsWith(beginning)) return 0;
    task.mode = "skip";
    // As `context.skip(note)` leaves it; vitest's reporters show the note.
    task.result = { state: "skip", note: reason } as RunnerTaskResult;
    return 1;
  }
  const prefix = task === task.file ? "" : `${before}${task.name} `;
  const count = task.tasks.reduce((sum, child) => sum + skip(child, beginning, reason, prefix), 0);
  // A suite without a test shall start no browser for them. (As a skipped one it would not report them as skipped.)
  if (isIdle(task)) for (const hooks of Object.values(TestRunner.getSuiteHooks(task))) hooks.length = 0;
  return count;
}

function isIdle(task: RunnerTask): boolean {
  return task.type === "test" ? task.mode === "skip" : task.tasks.every(isIdle);
}
