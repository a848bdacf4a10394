import { asMQError, type MQError } from "../model/errors.ts";
import { ROUTE_MAX_AGE } from "../model/limits.ts";
import { encodeTopic } from "../model/record-codec.ts";
import type { TopicConfig } from "../protocol/api.ts";
import type { Connection } from "./connection.ts";

export interface Route {
  config: TopicConfig;
  /** The topic's name as a record holds it. */
  topicBytes: Uint8Array;
  fetchedAt: number;
}

type Waiter = { run: (route: Route) => void; fail: (error: MQError) => void };

/** Which queues a topic has, asked once and refreshed now and then. */
export class Routes {
  readonly #connection: Connection;
  readonly #known = new Map<string, Route>();
  readonly #waiting = new Map<string, Waiter[]>();
  /** Questions on their way, by topic. */
  readonly #asking = new Map<string, Promise<void>>();

  constructor(connection: Connection) {
    this.#connection = connection;
    // The next broker may have another store under it.
    connection.lifecycle.on("lost", () => this.#known.clear());
  }

  /** The topic's route, unless it has to be asked for, or others wait for it already: their turn comes first. */
  known(topic: string): Route | undefined {
    const route = this.#known.get(topic);
    if (route === undefined || this.#waiting.has(topic)) return undefined;
    if (this.#connection.environment.clock.monotonic() - route.fetchedAt > ROUTE_MAX_AGE) void this.#refresh(topic);
    return route;
  }

  /**
   * Runs with the route of a topic that is not known. Callbacks and not promises: whoever asked first runs first,
   * and a later caller cannot slip in between, so a tab's sends to one topic keep their order.
   */
  ask(topic: string, run: Waiter["run"], fail: Waiter["fail"]): void {
    const waiting = this.#waiting.get(topic);
    if (waiting !== undefined) return void waiting.push({ run, fail });
    this.#waiting.set(topic, [{ run, fail }]);
    this.#asking.set(topic, this.#ask(topic).finally(() => this.#asking.delete(topic)));
  }

  /** The same as a promise, for whom the order of such questions does not matter. */
  of(topic: string): Promise<Route> {
    const known = this.known(topic);
    return known === undefined ? new Promise((resolve, reject) => this.ask(topic, resolve, reject)) : Promise.resolve(known);
  }

  get isAsking(): boolean {
    return this.#asking.size > 0;
  }

  /** Resolves when nobody waits for a route that has been asked for so far. */
  async settled(): Promise<void> {
    await Promise.all(this.#asking.values());
  }

  /** The broker refused what this route said. */
  forget(topic: string): void {
    this.#known.delete(topic);
  }

  async #ask(topic: string): Promise<void> {
    let outcome: (waiter: Waiter) => void;
    try {
      const route = this.#remember(await this.#connection.call("route", [topic, true]));
      outcome = ({ run }) => run(route);
    } catch (error) {
      const reason = asMQError(error);
      outcome = ({ fail }) => fail(reason);
    }
    const waiters = this.#waiting.get(topic) ?? [];
    for (const waiter of waiters) outcome(waiter);
    this.#waiting.delete(topic);
  }

  async #refresh(topic: string): Promise<void> {
    const route = this.#known.get(topic);
    if (route !== undefined) route.fetchedAt = this.#connection.environment.clock.monotonic();
    await this.#connection.call("route", [topic, true]).then((config) => this.#remember(config), () => this.forget(topic));
  }

  #remember(config: TopicConfig): Route {
    const route: Route = { config, topicBytes: encodeTopic(config.topic), fetchedAt: this.#connection.environment.clock.monotonic() };
    this.#known.set(config.topic, route);
    return route;
  }
}
