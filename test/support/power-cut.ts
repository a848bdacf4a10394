import { existsSync, readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { type Call, Strace } from "./strace.ts";

/** Calls that change files, and those that make a change durable. */
const TRACED = "trace=openat,write,writev,pwrite64,pwritev,ftruncate,fallocate,copy_file_range,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync";

/** A file that is only ever appended to, as all of LevelDB's are. */
interface File {
  length: number;
  /** Flushed to the device; the rest is in the memory of the operating system. */
  synced: number;
  /** Length by the end of the call that wrote. */
  writes: { ended: number; length: number }[];
}

export interface CutFile {
  path: string;
  had: number;
  kept: number;
}

/**
 * Power cuts for a browser's IndexedDB: a SIGKILL leaves what was written to the operating system, a power cut, at
 * worst, what a completed fsync or fdatasync covered. Changes of folders (new names, renamed and deleted files) are
 * kept, as they are in the order of a journal.
 */
export class PowerCut {
  readonly #strace: Strace;
  readonly #folder: string;
  readonly #files: Map<string, File>;

  /** Before the browser has opened any database. Null: it was quicker, and what it did at first was not seen. */
  static async prepare(pid: number, profile: string): Promise<PowerCut | null> {
    const folder = join(profile, "Default", "IndexedDB");
    const before = sizes(folder);
    const strace = await Strace.attach(pid, ["-e", TRACED]);
    if (String(sizes(folder)) !== String(before)) return null;
    return new PowerCut(strace, folder, new Map(before.map(([path, length]) => [path, { length, synced: length, writes: [] }])));
  }

  private constructor(strace: Strace, folder: string, files: Map<string, File>) {
    this.#strace = strace;
    this.#folder = folder;
    this.#files = files;
  }

  /** After the browser was killed: cuts every file. Returns those that lost something. */
  async cut(): Promise<CutFile[]> {
    for (const call of await this.#strace.calls()) if (!call.result.startsWith("-1") && call.args.includes(this.#folder)) this.#follow(call);
    return sizes(this.#folder).flatMap(([path, had]) => {
      const file = this.#files.get(path);
      if (file === undefined || file.length > had) throw new Error(`the trace and the disk differ: ${path} has ${had} bytes, ${file?.length} were traced`);
      if (file.synced === had) return [];
      truncateSync(path, file.synced);
      return [{ path, had, kept: file.synced }];
    });
  }

  #follow({ name, args, result, began, ended }: Call): void {
    const [, path = ""] = /^\d+<([^>]*)>/.exec(args) ?? [];
    const [from = "", to = ""] = [...args.matchAll(/"([^"]+)"/g)].map(([, quoted]) => quoted!);
    const file = this.#files.get(path);
    const isCut = result === "?";
    switch (name) {
      case "openat":
        if (args.includes("O_TRUNC") || (args.includes("O_CREAT") && !this.#files.has(from))) this.#files.set(from, { length: 0, synced: 0, writes: [] });
        return;
      case "write":
        if (isCut) return;
        if (file === undefined) throw new Error(`a write to a file that was not seen being made: ${path}`);
        file.length += Number(result);
        file.writes.push({ ended, length: file.length });
        return;
      case "fsync":
      case "fdatasync":
        // Of a folder: nothing to follow. What was still being written when it began is not covered.
        if (!isCut && file !== undefined) file.synced = Math.max(file.synced, file.writes.findLast((write) => write.ended < began)?.length ?? 0);
        return;
      case "rename":
        if (isCut && existsSync(from)) return;
        this.#files.set(to, this.#files.get(from)!);
        this.#files.delete(from);
        return;
      case "unlink":
      case "unlinkat":
        if (!isCut) this.#files.delete(from);
        return;
      default:
        throw new Error(`files that are only appended to do not get ${name}(${args})`);
    }
  }
}

function sizes(folder: string): [path: string, bytes: number][] {
  let names: string[] = [];
  try {
    names = readdirSync(folder, { recursive: true }) as string[];
  } catch {
    // A new profile.
  }
  const paths = names.map((name) => join(folder, name));
  return paths.map((path) => [path, statSync(path)] as const).flatMap(([path, stat]) => (stat.isFile() ? [[path, stat.size] as [string, number]] : []));
}
