/** An AbortController that makes its signal when somebody asks for it: most never do. */
export class LazyAbort {
  #controller: AbortController | null = null;
  #reason: Error | null = null;

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#reason !== null) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** The first reason counts. */
  abort(error: Error): void {
    this.#reason ??= error;
    this.#controller?.abort(error);
  }
}
