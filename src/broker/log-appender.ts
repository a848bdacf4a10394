import { BROKER_ADDRESS } from "../model/record-codec.ts";
import type { SteadyClock } from "../platform/steady-clock.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { ConsumeQueue } from "../storage/consume-queue.ts";
import type { CommitTicket, GroupCommit } from "../storage/group-commit.ts";
import type { Appended } from "../storage/indexer.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { Traffic } from "./traffic.ts";

/** Where the records of the last check go: their queues and offsets, undefined for one that is left out. */
export interface Placement {
  keep?: Uint8Array;
  queues: (ConsumeQueue | undefined)[];
  queueOffsets: Float64Array;
}

/** The one way into the log: what clients send and what the broker writes itself are stamped, committed and published alike. */
export class LogAppender {
  readonly #services: { log: CommitLog; commit: GroupCommit; dispatcher: Dispatcher; traffic: Traffic; clock: SteadyClock };

  constructor(services: { log: CommitLog; commit: GroupCommit; dispatcher: Dispatcher; traffic: Traffic; clock: SteadyClock }) {
    this.#services = services;
  }

  /** Resolves when everything that was appended so far is durable, or has failed. */
  settled(): Promise<void> {
    const { log, commit } = this.#services;
    if (log.position === log.durablePosition) return Promise.resolve();
    return new Promise((resolve) => commit.enqueue({ committed: resolve, failed: () => resolve() }));
  }

  /** Appends what was checked last; no await may lie between the two. `commit` is called at once or, when nothing was kept, not at all. */
  append({ keep, queues, queueOffsets }: Placement): { appended: Appended; commit(ticket: CommitTicket): void } {
    const { log, commit, dispatcher, traffic, clock } = this.#services;
    const storeTimestamp = clock.now();
    const stamps = { queueOffset: queueOffsets, storeTimestamp, storeIp: BROKER_ADDRESS.ip, storePort: BROKER_ADDRESS.port };
    const appended = log.append(keep === undefined ? stamps : { ...stamps, keep });
    return {
      appended,
      commit: ({ committed, failed }) => {
        commit.enqueue({
          committed: () => {
            dispatcher.publish(appended, queues, queueOffsets, storeTimestamp);
            traffic.put.add(appended.count, appended.bytes);
            committed();
          },
          failed,
        });
      },
    };
  }
}
