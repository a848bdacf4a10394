import { MQError } from "../model/errors.ts";
import { FETCH_TARGET_BYTES, MAX_INBOX_BYTES, MAX_NOTICE_BYTES, MAX_NOTICES, NOTICE_PATIENCE } from "../model/limits.ts";
import type { Cancel, Timers } from "../platform/timers.ts";
import type { InboxReply, InboxRequest, Notice, NoticeContent } from "../protocol/api.ts";
import type { Session } from "./session.ts";

/**
 * What became of a notice: the client has taken it; nobody there wants it; the client is gone, or wants no notices any
 * more; it lives and has not said a word in time (a frozen tab), and may still find the notice when it wakes up.
 */
export type NoticeEnd = "delivered" | "declined" | "gone" | "silent";

interface Told {
  notice: Notice;
  bytes: number;
  onEnd: (end: NoticeEnd) => void;
  cancel: Cancel;
}

/** Of one client: what it has not taken yet, oldest first. */
class Inbox {
  readonly told = new Map<number, Told>();
  bytes = 0;
  /** Number of the newest notice, and of the newest that has been given. */
  last = 0;
  given = 0;
  /** Number of the newest poll: an older one that still waits gives way. */
  polls = 0;
  isClosed = false;
  wake: () => void = () => {};

  /** As many as one answer takes. */
  give(): Notice[] {
    const notices: Notice[] = [];
    let bytes = 0;
    for (const told of this.told.values()) {
      bytes += told.bytes;
      if (notices.length > 0 && bytes > FETCH_TARGET_BYTES) break;
      notices.push(told.notice);
      this.given = told.notice.number;
    }
    return notices;
  }
}

/**
 * Things that the broker tells one client without being asked: a client that wants to hear them keeps a poll waiting
 * here. Nothing in here outlives the client's session: whoever tells something is told how it ended, and decides.
 */
export class Inboxes {
  readonly #timers: Timers;
  readonly #open = new Map<Session, Inbox>();
  /** Of all notices that wait. */
  #bytes = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Whether the client hears notices. */
  isOpen(session: Session): boolean {
    return this.#open.has(session);
  }

  /**
   * `onEnd` is called once, later, unless this broker ends before. False = the client hears no notices, or has too many
   * that it has not taken: then it is not called.
   */
  tell(session: Session, content: NoticeContent, onEnd: (end: NoticeEnd) => void): boolean {
    const inbox = this.#open.get(session);
    if (inbox === undefined || inbox.told.size >= MAX_NOTICES) return false;
    const bytes = content.record.byteLength;
    // A lone one always has room in its inbox: a record is smaller than that.
    if (inbox.bytes + bytes > MAX_INBOX_BYTES || this.#bytes + bytes > MAX_NOTICE_BYTES) return false;
    const number = ++inbox.last;
    const cancel = this.#timers.after(NOTICE_PATIENCE, () => this.#end(inbox, number, "silent"));
    inbox.told.set(number, { notice: { ...content, number }, bytes, onEnd, cancel });
    inbox.bytes += bytes;
    this.#bytes += bytes;
    inbox.wake();
    return true;
  }

  async poll(session: Session, { after, declined, wait, close = false }: InboxRequest): Promise<InboxReply> {
    const inbox = this.#open.get(session) ?? new Inbox();
    this.#open.set(session, inbox);
    if (after > inbox.given) throw new MQError("INVALID_PARAMETER", `No notice ${after} has been given to this client.`, { field: "inbox.after" });
    const poll = ++inbox.polls;
    inbox.wake();
    this.#take(inbox, after, new Set(declined));
    if (close) this.close(session);
    let isLate = wait === 0;
    const cancel = this.#timers.after(wait, () => {
      isLate = true;
      inbox.wake();
    });
    const isOver = (): boolean => isLate || inbox.isClosed || poll !== inbox.polls;
    while (inbox.told.size === 0 && !isOver()) await new Promise<void>((resolve) => (inbox.wake = resolve));
    cancel();
    return { notices: poll === inbox.polls ? inbox.give() : [] };
  }

  /** What is left goes back to whoever told it. */
  close(session: Session): void {
    const inbox = this.#open.get(session);
    if (inbox === undefined) return;
    this.#open.delete(session);
    inbox.isClosed = true;
    inbox.wake();
    for (const number of [...inbox.told.keys()]) this.#end(inbox, number, "gone");
  }

  /** Whoever has told something ends with this broker too. */
  stop(): void {
    for (const inbox of this.#open.values()) {
      for (const { cancel } of inbox.told.values()) cancel();
      inbox.told.clear();
      inbox.isClosed = true;
      inbox.wake();
    }
    this.#open.clear();
  }

  #take(inbox: Inbox, after: number, declined: ReadonlySet<number>): void {
    for (const number of [...inbox.told.keys()]) {
      if (number > after) return;
      this.#end(inbox, number, declined.has(number) ? "declined" : "delivered");
    }
  }

  #end(inbox: Inbox, number: number, end: NoticeEnd): void {
    const told = inbox.told.get(number);
    if (told === undefined) return;
    inbox.told.delete(number);
    inbox.bytes -= told.bytes;
    this.#bytes -= told.bytes;
    told.cancel();
    told.onEnd(end);
  }
}
