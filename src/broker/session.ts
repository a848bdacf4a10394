import type { MQError } from "../model/errors.ts";
import { ClientTraffic } from "./client-traffic.ts";
import type { Member } from "./member.ts";

/** One connected client. It lives until it leaves or its lock is free, which means that its tab is gone. */
export class Session {
  readonly clientId: string;
  readonly lockName: string;
  readonly members = new Set<Member>();
  readonly traffic = new ClientTraffic();
  /** ms since 1970. */
  readonly connectedTimestamp: number;
  lastCallTimestamp: number;
  closed = false;
  /** Whether its tab has asked to bring filters in WebAssembly. */
  mayBringFilters = false;
  /** Called once, when the session ends. */
  onEnd: () => void = () => {};
  /** Tells the client that there is no namespace any more. */
  onNamespaceEnd: (news: MQError) => void = () => {};

  constructor(clientId: string, lockName: string, now: number) {
    this.clientId = clientId;
    this.lockName = lockName;
    this.connectedTimestamp = this.lastCallTimestamp = now;
  }
}
