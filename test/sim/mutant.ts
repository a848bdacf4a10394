import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { vi } from "vitest";

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url));

/**
 * Lets `use` run with a product in which one place of one source file reads otherwise: the way to break what no test can
 * reach from outside. Throws when the place is not there any more.
 */
export async function withMutant<T>(file: string, from: string, to: string, use: (simulator: typeof import("./simulate.ts")) => Promise<T>): Promise<T> {
  const path = join(SOURCE, file);
  const source = await readFile(path, "utf8");
  if (source.split(from).length !== 2) throw new Error(`${file} does not hold "${from}" once: the mutation has to follow the source`);
  const folder = await mkdtemp(join(tmpdir(), "tabmq-mutant-"));
  try {
    const absolute = source.replace(from, () => to).replace(/ from "(\.[^"]+)"/g, (_, name: string) => ` from ${JSON.stringify(join(dirname(path), name))}`);
    const mutant = join(folder, "mutant.ts");
    await writeFile(mutant, absolute);
    vi.resetModules();
    vi.doMock(path, () => import(/* @vite-ignore */ mutant));
    return await use(await import("./simulate.ts"));
  } finally {
    vi.doUnmock(path);
    vi.resetModules();
    await rm(folder, { recursive: true, force: true });
  }
}
