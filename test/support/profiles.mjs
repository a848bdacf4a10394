// @ts-check
/** vitest's globalSetup of the `tabs` project: one folder for all profiles of a run. Test processes are ended without an exit event, so they cannot tidy up themselves. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export default function setup() {
  const folder = mkdtempSync(join(tmpdir(), "tabmq-profiles-"));
  process.env.TABMQ_PROFILES = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}
