import { type Signal, signal } from "@preact/signals";

export type TransferState = "idle" | "running" | "done" | "cancelled" | "failed";

/** A log on its way out of the namespace or into it: how far it has come, and how it ended. */
export class Transfer {
  readonly state: Signal<TransferState> = signal("idle");
  readonly bytes = signal(0);
  readonly messages = signal(0);
  /** Why it failed. */
  readonly failure = signal<unknown>(undefined);
  #abort = new AbortController();

  cancel(): void {
    this.#abort.abort();
  }

  /** Resolves when it is over, however it ended. `work` returns false when there was nothing to do after all. */
  async run(work: (signal: AbortSignal) => Promise<boolean>): Promise<TransferState> {
    this.#abort = new AbortController();
    const { signal: aborted } = this.#abort;
    this.bytes.value = this.messages.value = 0;
    this.failure.value = undefined;
    this.state.value = "running";
    try {
      this.state.value = (await work(aborted)) ? "done" : "idle";
    } catch (error) {
      this.failure.value = error;
      this.state.value = aborted.aborted ? "cancelled" : "failed";
    }
    return this.state.value;
  }

  /** Passes everything on, and counts it. */
  counting(messagesOf: (piece: Uint8Array) => number = () => 0): TransformStream<Uint8Array, Uint8Array> {
    return new TransformStream<Uint8Array, Uint8Array>({
      transform: (piece, controller) => {
        this.bytes.value += piece.byteLength;
        this.messages.value += messagesOf(piece);
        controller.enqueue(piece);
      },
    });
  }
}

/** "shop-2026-11-22T10-30-00.tabmq" */
export function fileName(namespace: string, at: Date): string {
  return `${namespace}-${at.toISOString().slice(0, 19).replaceAll(":", "-")}.tabmq`;
}
