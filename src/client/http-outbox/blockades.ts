import type { MQError } from "../../model/errors.ts";
import { asMQError } from "../../model/errors.ts";
import type { MessageExt } from "../../model/message.ts";
import type { Timers } from "../../platform/timers.ts";
import type { Admin } from "../admin.ts";
import { unlessAborted } from "./entity-lines.ts";

/** Of a message that takes a dead letter's place: the letter's msgId. */
export const REPLACES = "HTTP_OUTBOX_REPLACES";

/** How often it is looked whether a dead letter still stands in the way, ms; whoever settles one by an outbox tells at once. */
const LOOK_EVERY = 5000;
const MAX_LETTERS = 10_000;

/**
 * Entities that wait for a dead letter of theirs (`onDead: "block"`). Which letters there are the broker knows, so it outlives the tab
 * and is the same in all of them; here it is only remembered which of them stand before which entity.
 */
export class Blockades {
  readonly #admin: Pick<Admin, "deadLetters" | "messageTrack">;
  readonly #group: string;
  readonly #timers: Timers;
  readonly #onError: (error: MQError) => void;
  /** Entity to msgIds of dead letters. */
  readonly #letters = new Map<string, Set<string>>();
  #loading: Promise<void> | null = null;
  readonly #watching = new Set<() => void>();

  constructor(parts: { admin: Pick<Admin, "deadLetters" | "messageTrack">; group: string; timers: Timers; onError: (error: MQError) => void }) {
    this.#admin = parts.admin;
    this.#group = parts.group;
    this.#timers = parts.timers;
    this.#onError = parts.onError;
  }

  /** Queues have come from others, with what happened there: the letters are read again before anything is sent. */
  reload(): void {
    // Behind a reading that is on its way: who comes later must not know earlier, and get in front.
    this.#loading = (this.#loading ?? Promise.resolve()).catch(() => {}).then(() => this.#load());
    this.#loading.catch(() => {});
  }

  add(entity: string, msgId: string): void {
    this.#letters.set(entity, (this.#letters.get(entity) ?? new Set()).add(msgId));
  }

  /** Is it what the entity waits for? The letter itself, sent again, or what replaces it. */
  async isAwaited(entity: string, { msgId, properties }: MessageExt, signal: AbortSignal): Promise<boolean> {
    await unlessAborted(this.#loaded(), signal);
    const letters = this.#letters.get(entity);
    return letters !== undefined && (letters.has(msgId) || letters.has(properties[REPLACES] ?? ""));
  }

  /** Resolves when no dead letter stands before the entity. */
  async free(entity: string, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      await unlessAborted(this.#loaded(), signal);
      await unlessAborted(this.#look(entity), signal);
      if (!this.#letters.has(entity)) return;
      await this.#pause(signal);
    }
  }

  /** Somebody has settled a letter. */
  lookAgain(): void {
    for (const look of this.#watching) look();
  }

  #loaded(): Promise<void> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** Until it works: without knowing the letters, something might be sent out of its order. */
  async #load(): Promise<void> {
    for (;;) {
      try {
        for (const { msgId, messageGroup } of await this.#read()) if (messageGroup !== undefined) this.add(messageGroup, msgId);
        return;
      } catch (error) {
        if (asMQError(error).code === "CLOSED") throw error;
        this.#onError(asMQError(error));
        await new Promise<void>((resolve) => this.#timers.after(1000, resolve));
      }
    }
  }

  #read(): Promise<MessageExt[]> {
    return this.#admin.deadLetters(this.#group, { max: MAX_LETTERS });
  }

  /** Forgets letters that are none any more: sent again and done, or discarded. One that is sent again and on its way still counts. */
  async #look(entity: string): Promise<void> {
    const letters = this.#letters.get(entity);
    for (const msgId of [...(letters ?? [])]) if (await this.#isSettled(msgId)) letters!.delete(msgId);
    if (letters?.size === 0) this.#letters.delete(entity);
  }

  async #isSettled(msgId: string): Promise<boolean> {
    try {
      const tracks = await this.#admin.messageTrack(msgId);
      return tracks.some(({ group, trackType }) => group === this.#group && (trackType === "CONSUMED" || trackType === "DISCARDED"));
    } catch (error) {
      if (asMQError(error).code !== "NO_MESSAGE") return false;
    }
    // Retention has taken the message as it was sent; its letter is younger, and may be there.
    const letters = await this.#read().catch(() => null);
    return letters !== null && !letters.some((letter) => letter.msgId === msgId);
  }

  async #pause(signal: AbortSignal): Promise<void> {
    let look = (): void => {};
    const asked = new Promise<void>((resolve) => (look = resolve));
    const cancel = this.#timers.after(LOOK_EVERY, look);
    this.#watching.add(look);
    await unlessAborted(asked, signal).finally(() => {
      cancel();
      this.#watching.delete(look);
    });
  }
}
