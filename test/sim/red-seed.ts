import type { Verdict, VerdictKind } from "./checkers.ts";

/** The first seed up to `most` whose world has this verdict. Throws where none has, with what was seen instead. */
export async function redSeed(verdict: VerdictKind, most: number, live: (seed: number) => Promise<{ verdicts: Verdict[] }>): Promise<number> {
  const seen = new Set<VerdictKind>();
  for (let seed = 1; seed <= most; seed++) {
    const { verdicts } = await live(seed);
    if (verdicts.some(({ kind }) => kind === verdict)) return seed;
    for (const { kind } of verdicts) seen.add(kind);
  }
  throw new Error(`no seed up to ${most} shows "${verdict}"; seen: ${[...seen].join(", ") || "nothing"}`);
}
