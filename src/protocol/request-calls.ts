/* Requests, whose replies go to the client that waits for them. */

export interface ListenersRequest {
  topic: string;
  /** Of the request; null = it has none. */
  tags: string | null;
}

/**
 * What became of a reply: its requester has taken it; it does not wait for it, or no longer; it is gone; it has not said
 * a word in time, and may take the reply yet; too many replies wait there already.
 */
export type ReplyOutcome = "delivered" | "declined" | "gone" | "silent" | "full";
