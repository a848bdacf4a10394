import { MQError } from "../model/errors.ts";
import { MAX_PRODUCER_GROUPS } from "../model/limits.ts";
import type { Session } from "./session.ts";

/** Which clients answer for a producer group's transactions. Nothing of it outlives their sessions. */
export class Producers {
  /** By group; who was asked last comes last. */
  readonly #groups = new Map<string, Set<Session>>();
  readonly #onJoined: (group: string) => void;

  constructor(onJoined: (group: string) => void) {
    this.#onJoined = onJoined;
  }

  /** May be repeated. @throws MQError FLOW_CONTROL */
  join(session: Session, group: string): void {
    if (session.closed) throw new MQError("SESSION_UNKNOWN", "This session has ended.");
    const members = this.#groups.get(group) ?? new Set();
    if (!members.has(session) && this.groupsOf(session).length >= MAX_PRODUCER_GROUPS) {
      throw new MQError("FLOW_CONTROL", `This client answers for ${MAX_PRODUCER_GROUPS} producer groups already.`, { field: "producerGroup" });
    }
    this.#groups.set(group, members.add(session));
    this.#onJoined(group);
  }

  leave(session: Session, group: string): void {
    const members = this.#groups.get(group);
    members?.delete(session);
    if (members?.size === 0) this.#groups.delete(group);
  }

  gone(session: Session): void {
    for (const group of this.groupsOf(session)) this.leave(session, group);
  }

  /** In the order in which they are to be asked. */
  of(group: string): Session[] {
    return [...(this.#groups.get(group) ?? [])];
  }

  /** It has been asked: next time the others come first. */
  asked(session: Session, group: string): void {
    const members = this.#groups.get(group);
    if (members?.delete(session)) members.add(session);
  }

  /** That a client answers for. */
  groupsOf(session: Session): string[] {
    return [...this.#groups].filter(([, members]) => members.has(session)).map(([group]) => group);
  }
}
