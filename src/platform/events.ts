type Listener<T> = (event: T) => void;

/** A typed stream of events. TabMQ prints nothing; whoever wants to know listens here. */
export class Events<Map extends object> {
  readonly #listeners: { [Name in keyof Map]?: Set<Listener<Map[Name]>> } = {};

  /** Returns the function that stops listening. */
  on<Name extends keyof Map>(name: Name, listener: Listener<Map[Name]>): () => void {
    const set = (this.#listeners[name] ??= new Set());
    set.add(listener);
    return () => set.delete(listener);
  }

  emit<Name extends keyof Map>(name: Name, event: Map[Name]): void {
    for (const listener of this.#listeners[name] ?? []) {
      // A listener's fault is its own: it must not break the broker or the client that tells it something.
      try {
        listener(event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
