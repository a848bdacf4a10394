import { MQError } from "../model/errors.ts";
import { tagHash } from "../model/hash.ts";
import { PROPERTY } from "../model/properties.ts";
import { propertyOf } from "../model/record-properties.ts";
import type { ListenersRequest, ReplyOutcome } from "../protocol/api.ts";
import { openFrame } from "../protocol/frame.ts";
import type { CommitLog } from "../storage/commit-log.ts";
import type { Groups } from "./groups.ts";
import type { Inboxes } from "./inbox.ts";
import type { Session } from "./session.ts";
import { isReadable, type Topics } from "./topics.ts";

const encoder = new TextEncoder();
const REPLY_TO_CLIENT = encoder.encode(PROPERTY.REPLY_TO_CLIENT);
const CORRELATION_ID = encoder.encode(PROPERTY.CORRELATION_ID);

/** A request is a message like any other; what is particular is who listens to it, and the way of its reply. */
export class RequestService {
  readonly #services: { log: CommitLog; groups: Groups; topics: Topics; inboxes: Inboxes; sessions: ReadonlySet<Session> };
  readonly #onTheirWay = new Set<(error: MQError) => void>();

  constructor(services: { log: CommitLog; groups: Groups; topics: Topics; inboxes: Inboxes; sessions: ReadonlySet<Session> }) {
    this.#services = services;
  }

  /** How many consumers live that would be given such a request. */
  listeners({ topic, tags }: ListenersRequest): number {
    const config = this.#services.topics.find(topic);
    if (config !== undefined && !isReadable(config)) return 0;
    return this.#services.groups.listeners(topic, tagHash(tags));
  }

  /** Hands a reply to the client that waits for it. It is not stored: it is of no use to anybody else. */
  async reply(frame: unknown): Promise<ReplyOutcome> {
    const record = this.#read(frame);
    const to = propertyOf(record, 0, REPLY_TO_CLIENT);
    if (to === null || propertyOf(record, 0, CORRELATION_ID) === null) {
      throw new MQError("MESSAGE_ILLEGAL", `A reply names its request (${PROPERTY.CORRELATION_ID}) and who waits for it (${PROPERTY.REPLY_TO_CLIENT}).`, { field: "frame" });
    }
    const { inboxes, sessions } = this.#services;
    const session = [...sessions].find(({ clientId }) => clientId === to);
    if (session === undefined || !inboxes.isOpen(session)) return "gone";
    return new Promise((resolve, reject) => {
      this.#onTheirWay.add(reject);
      const isTold = inboxes.tell(session, { type: "reply", record }, (end) => {
        this.#onTheirWay.delete(reject);
        resolve(end);
      });
      if (isTold) return;
      this.#onTheirWay.delete(reject);
      resolve("full");
    });
  }

  /** The next broker is asked again: the requester waits there too. */
  stop(): void {
    for (const reject of this.#onTheirWay) reject(new MQError("FENCED", "This broker has ended before the reply was taken."));
    this.#onTheirWay.clear();
  }

  #read(frame: unknown): Uint8Array {
    const { count, records } = openFrame(frame);
    const { count: found, fault } = this.#services.log.check(records);
    if (fault !== null || count !== 1 || found !== 1) throw new MQError("MESSAGE_ILLEGAL", "A reply is one whole record.", { field: "frame" });
    return records.slice();
  }
}
