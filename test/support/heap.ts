/** What lives in a page or a worker of Chromium, counted by class, as its heap snapshot has it. */
import type { BrowserContext, CDPSession } from "playwright-core";

/** Objects by kind and class, as "native MessagePort" or "closure onMessage". */
export type Census = ReadonlyMap<string, number>;

interface Snapshot {
  snapshot: { meta: { node_fields: string[]; node_types: [string[], ...unknown[]] } };
  nodes: number[];
  strings: string[];
}

interface Reply {
  result?: unknown;
  error?: { message: string };
}

/** Kinds of nodes that the engine makes and drops as it likes: compiled code, shapes, strings, numbers. */
const OF_THE_ENGINE: ReadonlySet<string> = new Set(["code", "string", "concatenated string", "sliced string", "number", "hidden", "synthetic", "symbol", "bigint", "object shape"]);

/** What the browser keeps for its console. */
const OF_THE_CONSOLE: ReadonlySet<string> = new Set(["native blink::ConsoleMessage", "native blink::SourceLocation"]);

/** One page or worker, looked into by Chromium's protocol. */
export class Heap {
  readonly #session: CDPSession;
  readonly #target: string;
  readonly #waiting = new Map<number, (reply: Reply) => void>();
  #chunks: string[] = [];
  #next = 0;

  /** The one of this kind whose URL ends so, and whose name, where it has one, begins so. */
  static async of(context: BrowserContext, type: "page" | "worker" | "shared_worker", urlEnd: string, name = ""): Promise<Heap> {
    const session = await context.browser()!.newBrowserCDPSession();
    const { targetInfos } = await session.send("Target.getTargets");
    const [target, ...others] = targetInfos.filter((info) => info.type === type && info.url.endsWith(urlEnd) && info.title.startsWith(name));
    if (target === undefined || others.length > 0) throw new Error(`${target === undefined ? "no" : "more than one"} ${type} at ${urlEnd} ${name}: ${JSON.stringify(targetInfos)}`);
    const { sessionId } = await session.send("Target.attachToTarget", { targetId: target.targetId, flatten: false });
    return new Heap(session, sessionId);
  }

  private constructor(session: CDPSession, target: string) {
    this.#session = session;
    this.#target = target;
    session.on("Target.receivedMessageFromTarget", ({ message }) => {
      const { id, method, params, ...reply } = JSON.parse(message) as Reply & { id?: number; method?: string; params?: { chunk: string } };
      if (method === "HeapProfiler.addHeapSnapshotChunk") this.#chunks.push(params!.chunk);
      if (id !== undefined) this.#waiting.get(id)?.(reply);
    });
  }

  /** Bytes in use when all garbage has gone. A port whose other end has gone becomes garbage a moment later: so more than once. */
  async bytes(): Promise<number> {
    for (let round = 0; round < 4; round++) {
      await this.#send("HeapProfiler.collectGarbage");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return ((await this.#send("Runtime.getHeapUsage")) as { usedSize: number }).usedSize;
  }

  async census(): Promise<Census> {
    this.#chunks = [];
    await this.#send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
    return censusOf(JSON.parse(this.#chunks.splice(0).join("")) as Snapshot);
  }

  detach(): Promise<void> {
    return this.#session.detach();
  }

  async #send(method: string, params: object = {}): Promise<unknown> {
    const id = this.#next++;
    const replied = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
    await this.#session.send("Target.sendMessageToTarget", { sessionId: this.#target, message: JSON.stringify({ id, method, params }) });
    const { result, error } = await replied;
    this.#waiting.delete(id);
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }
}

function censusOf({ snapshot: { meta }, nodes, strings }: Snapshot): Census {
  const { node_fields: fields, node_types: [kinds] } = meta;
  const [kindAt, nameAt] = [fields.indexOf("type"), fields.indexOf("name")];
  const census = new Map<string, number>();
  for (let at = 0; at < nodes.length; at += fields.length) {
    const kind = kinds[nodes[at + kindAt]!]!;
    const className = strings[nodes[at + nameAt]!]!;
    if (OF_THE_ENGINE.has(kind) || (kind === "native" && className.startsWith("system / "))) continue;
    const name = `${kind} ${className}`;
    if (OF_THE_CONSOLE.has(name)) continue;
    census.set(name, (census.get(name) ?? 0) + 1);
  }
  return census;
}

/** How many more there are of each. */
export function growth(before: Census, after: Census): Census {
  return new Map([...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)]));
}
