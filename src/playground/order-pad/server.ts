import { signal } from "@preact/signals";
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Order } from "./database.ts";

/** How the server behaves: it works, it is slow, it asks for time, it cannot be reached. */
export const WEATHERS = ["fine", "slow", "busy", "away"] as const;
export type Weather = (typeof WEATHERS)[number];

interface Arrival {
  number: number;
  /** The order's Idempotency-Key. */
  key: string;
  order: Order;
}

export interface LogLine {
  id?: number;
  status: number;
  customer: string;
  item: string;
  quantity: number;
}

interface Schema extends DBSchema {
  arrivals: { key: number; value: Arrival; indexes: { key: string } };
  log: { key: number; value: LogLine };
  settings: { key: string; value: Weather };
}

/** The server's own rule: a reason to refuse an order for good. */
export const MOST = 12;
const SLOW = 2500;
const SHOWN = 8;

/**
 * An HTTP API that lives in this page, because a page that is only files has no other: `fetch` of /api/… is answered here. Its data are
 * in a database that the application does not look at. What it does is what a server does: it takes each idempotency key once.
 */
export class Server {
  readonly weather = signal<Weather>("fine");
  readonly count = signal(0);
  readonly log = signal<readonly LogLine[]>([]);
  readonly #db: IDBPDatabase<Schema>;
  readonly #channel = new BroadcastChannel("order-pad/server");

  static async open(): Promise<Server> {
    const db = await openDB<Schema>("order-pad-server", 1, {
      upgrade(upgraded) {
        upgraded.createObjectStore("arrivals", { keyPath: "number", autoIncrement: true }).createIndex("key", "key", { unique: true });
        upgraded.createObjectStore("log", { keyPath: "id", autoIncrement: true });
        upgraded.createObjectStore("settings");
      },
    });
    const server = new Server(db);
    await server.#read();
    return server;
  }

  private constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
    this.#channel.onmessage = () => void this.#read();
  }

  answerFetch(): void {
    const real = globalThis.fetch.bind(globalThis);
    globalThis.fetch = (input, init) => {
      const request = new Request(input, init);
      return new URL(request.url).pathname === "/api/orders" ? this.#answer(request) : real(input, init);
    };
  }

  async setWeather(weather: Weather): Promise<void> {
    await this.#db.put("settings", weather, "weather");
    await this.#changed();
  }

  async #answer(request: Request): Promise<Response> {
    const order = (await request.json()) as Order;
    const weather = (await this.#db.get("settings", "weather")) ?? "fine";
    if (weather === "slow") await pause(SLOW, request.signal);
    else await pause(150, request.signal);
    if (weather === "away") {
      await this.#note(0, order);
      throw new TypeError("Failed to fetch");
    }
    if (weather === "busy") return this.#say(503, order, { error: "busy" }, { "retry-after": "3" });
    if (order.quantity > MOST) return this.#say(422, order, { error: `at most ${MOST} of one thing` });
    const number = await this.#take(request.headers.get("idempotency-key") ?? "", order);
    return this.#say(201, order, { number });
  }

  /** The number that the key's order has, or gets now. */
  async #take(key: string, order: Order): Promise<number> {
    const tx = this.#db.transaction("arrivals", "readwrite", { durability: "strict" });
    const known = await tx.store.index("key").get(key);
    const number = known?.number ?? (await tx.store.add({ key, order } as Arrival));
    await tx.done;
    return number;
  }

  async #say(status: number, order: Order, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    await this.#note(status, order);
    return Response.json(body, { status, headers });
  }

  async #note(status: number, { customer, item, quantity }: Order): Promise<void> {
    await this.#db.add("log", { status, customer, item, quantity });
    await this.#changed();
  }

  async #changed(): Promise<void> {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has no target
    this.#channel.postMessage(null);
    await this.#read();
  }

  async #read(): Promise<void> {
    this.weather.value = (await this.#db.get("settings", "weather")) ?? "fine";
    this.count.value = await this.#db.count("arrivals");
    const lines: LogLine[] = [];
    for (let cursor = await this.#db.transaction("log").store.openCursor(null, "prev"); cursor !== null && lines.length < SHOWN; cursor = await cursor.continue()) lines.push(cursor.value);
    this.log.value = lines;
  }
}

function pause(ms: number, end: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    end.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(end.reason as Error);
    });
  });
}
