import "./sound-stores.ts";
import { untraced } from "./untraced.ts";
import { BrokerHost, type HostEnvironment } from "../../src/broker/host.ts";
import type { ConnectOptions } from "../../src/client/connect.ts";
import { connectWith } from "../../src/client/connect-with.ts";
import { Connection } from "../../src/client/connection.ts";
import type { ClientEnvironment } from "../../src/client/environment.ts";
import type { TabMQ } from "../../src/client/tabmq.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { MemoryLocks } from "../../src/platform/memory-locks.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { systemTimers } from "../../src/platform/timers.ts";
import type { PortLike } from "../../src/protocol/guarded-endpoint.ts";
import type { BlockStore } from "../../src/storage/block-store.ts";
import { MemoryDisk, MemoryStore } from "../../src/storage/memory-store.ts";
import { TsIndexer } from "../../src/storage/ts-indexer.ts";

/** An origin without a browser: one disk, one set of locks, any number of workers and tabs, all in this process. */
export class NodeOrigin {
  readonly disk: MemoryDisk;
  readonly locks = new MemoryLocks();
  readonly #ports = new Set<MessagePort>();
  readonly #tabs: { close(): Promise<void> }[] = [];
  /** What local storage is in a browser: it outlives the disk. */
  readonly memo = { text: null as string | null, read: () => this.memo.text, write: (text: string) => void (this.memo.text = text) };
  makeStore: () => BlockStore;
  host: BrokerHost;

  constructor(disk = new MemoryDisk()) {
    this.disk = disk;
    this.makeStore = () => new MemoryStore(this.disk);
    this.host = this.newHost();
  }

  newHost(overrides: Partial<HostEnvironment> = {}): BrokerHost {
    return new BrokerHost({
      locks: this.locks,
      clock: systemClock,
      timers: systemTimers,
      random: systemRandom,
      openStore: () => this.makeStore(),
      loadIndexer: () => Promise.resolve(new TsIndexer()),
      ...overrides,
    });
  }

  /** A raw port to the worker, as a hostile script would open one. */
  port(host = this.host): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#ports.add(port1).add(port2);
    host.accept(port2 as unknown as PortLike);
    // In browsers, what was posted before a port was closed still arrives; in Node it does not.
    const close = port1.close.bind(port1);
    port1.close = () => void setTimeout(close, 10);
    return port1;
  }

  /** What a tab of this origin has around it. */
  environment(overrides: Partial<ClientEnvironment> = {}): ClientEnvironment {
    return {
      locks: this.locks,
      clock: systemClock,
      timers: systemTimers,
      random: systemRandom,
      openBroker: () => ({ port: this.port() as unknown as PortLike, onError: () => {} }),
      page: { onHide: () => () => {}, onShow: () => () => {} },
      memo: this.memo,
      ...overrides,
    };
  }

  async connect(options: ConnectOptions = {}, overrides: Partial<ClientEnvironment> = {}): Promise<TabMQ> {
    const environment = this.environment({ memo: options.host === "memory" ? null : this.memo, ...overrides });
    const tab = await connectWith(() => environment, untraced(options));
    this.#tabs.push(tab);
    return tab;
  }

  /** A connection alone, without what an application makes of it. */
  async open(clientId: string, overrides: Partial<ClientEnvironment> = {}): Promise<Connection> {
    const connection = await Connection.open(this.environment(overrides), { namespace: "default", clientId, storage: "indexeddb", settings: {} });
    this.#tabs.push(connection);
    return connection;
  }

  /** The worker is gone: nothing that is sent to it arrives any more, and nobody is told. */
  silence(): void {
    for (const port of this.#ports) port.close();
    this.#ports.clear();
  }

  /** Every test ends with this, or Node's ports keep the process alive. */
  async close(): Promise<void> {
    await Promise.all(this.#tabs.map((tab) => tab.close().catch(() => {})));
    for (const port of this.#ports) port.close();
  }
}

/** Resolves when `condition` holds; the test's own timeout is the limit. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
