/* What the broker has to tell one client without being asked for it. */

export type NoticeContent =
  /** A transaction's outcome is not known: the half message, whole, and the producer group that is asked. */
  | { type: "check"; group: string; record: Uint8Array }
  /** The answer to a request of this client: a record, as it would be stored. */
  | { type: "reply"; record: Uint8Array };

export type NoticeType = NoticeContent["type"];

/** Numbers rise; each client's begin anew with each session. */
export type Notice = NoticeContent & { number: number };

/** Each poll says what became of what the one before it has brought; what is not said is brought again. */
export interface InboxRequest {
  /** Notices up to this number have been taken, 0 = none yet. */
  after: number;
  /** But for these, which nobody here wants. */
  declined: number[];
  /** How long to wait for a notice, ms. */
  wait: number;
  /** The client wants no more of them: what is left goes back to whoever told it. */
  close?: boolean;
}

export interface InboxReply {
  notices: Notice[];
}
