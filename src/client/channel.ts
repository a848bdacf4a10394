import type { Endpoint, Remote } from "comlink";
import { releaseProxy, transfer, wrap } from "comlink";
import type { ErrorData } from "../model/errors.ts";
import { errorFromData, MQError } from "../model/errors.ts";
import { deferred } from "../platform/deferred.ts";
import type { Answer, BrokerApi } from "../protocol/api.ts";
import { type PortLike, readEnd } from "../protocol/guarded-endpoint.ts";

/** The broker is gone, or does not know this session any more: what was asked has to be asked again elsewhere. */
export class BrokerGone extends MQError {
  constructor(message = "The broker went away before it answered.") {
    super("STORAGE_UNAVAILABLE", message, { outcome: "unknown" });
  }
}

export type BrokerMethod = keyof BrokerApi;
export type BrokerValue<M extends BrokerMethod> = Awaited<ReturnType<BrokerApi[M]>> extends Answer<infer T> ? T : never;

/**
 * Calls over one port. comlink never settles a call whose other side has died; here every pending call is rejected
 * when `fail` is called. The root proxy is kept in a field: a collected proxy would take its calls along.
 */
export class Channel {
  readonly #port: PortLike;
  readonly #broker: Remote<BrokerApi>;
  /** The broker this channel talks to; an answer of another one means that this one is gone. Null before hello. */
  epoch: number | null = null;
  readonly #onAnswer: (epoch: number, durable: number) => void;
  /** comlink makes and registers a new proxy each time a method is looked up: once is enough. */
  readonly #methods = new Map<BrokerMethod, RemoteMethod>();
  readonly #guard: Guard;
  readonly #pending = new Set<(error: MQError) => void>();
  #failed: MQError | null = null;
  readonly #ended = deferred<MQError>();
  /** Answers so far, errors included: whoever gives them is not hung. */
  answers = 0;

  /** `onAnswer` hears the epoch and the durable position of every good answer. */
  constructor(port: PortLike, onAnswer: (epoch: number, durable: number) => void) {
    this.#port = port;
    this.#onAnswer = onAnswer;
    this.#guard = { isOver: false, onEnd: (error) => this.fail(error) };
    this.#broker = wrap<BrokerApi>(guardClient(port, this.#guard));
  }

  call<M extends BrokerMethod>(method: M, args: Parameters<BrokerApi[M]>, transfers: Transferable[] = []): Promise<BrokerValue<M>> {
    return new Promise((resolve, reject) => {
      if (this.#failed !== null) return reject(this.#failed);
      const settle = (run: () => void): void => {
        if (this.#pending.delete(reject)) run();
      };
      this.#pending.add(reject);
      const given = args.map((argument, at) => (at === 0 && transfers.length > 0 ? transfer(argument as object, transfers) : argument));
      (this.#method(method)(...given) as Promise<Answer<BrokerValue<M>>>).then(
        (answer) => {
          this.answers++;
          settle(() => {
            if (!answer.ok) reject(errorOf(answer.error));
            else if (this.epoch !== null && answer.epoch !== this.epoch) reject(new BrokerGone("Another broker has answered."));
            else {
              this.#onAnswer(answer.epoch, answer.durable);
              resolve(answer.value);
            }
          });
        },
        (cause: unknown) => settle(() => reject(new MQError("INTERNAL_ERROR", "The call could not be made.", { cause, outcome: "unknown" }))),
      );
    });
  }

  /** Why it is of no use any more, as soon as that is so. */
  get ended(): Promise<MQError> {
    return this.#ended.promise;
  }

  /** Calls that wait for their answer. */
  get waiting(): number {
    return this.#pending.size;
  }

  #method(method: BrokerMethod): RemoteMethod {
    let remote = this.#methods.get(method);
    if (remote === undefined) {
      remote = this.#broker[method] as unknown as RemoteMethod;
      this.#methods.set(method, remote);
    }
    return remote;
  }

  /** Rejects what is pending and everything later. */
  fail(error: MQError): void {
    this.#failed ??= error;
    this.#ended.resolve(this.#failed);
    for (const reject of this.#pending) reject(error);
    this.#pending.clear();
    this.#release();
    this.#port.close();
  }

  /** comlink keeps the endpoint of every proxy, and with it all that hangs on it, until it is let go. */
  #release(): void {
    if (this.#guard.isOver) return;
    this.#guard.isOver = true;
    for (const proxy of [this.#broker, ...this.#methods.values()]) (proxy as { [releaseProxy](): void })[releaseProxy]();
    this.#methods.clear();
  }
}

type RemoteMethod = (...given: unknown[]) => Promise<unknown>;

interface Guard {
  /** Nothing is said any more: comlink's goodbyes neither. */
  isOver: boolean;
  onEnd: (error: MQError) => void;
}

function errorOf(data: ErrorData): MQError {
  return data.code === "SESSION_UNKNOWN" || data.code === "FENCED" ? new BrokerGone(data.message) : errorFromData(data);
}

/** Lets answers through and nothing else: no proxies, no transfer handlers. */
function guardClient(port: PortLike, guard: Guard): Endpoint {
  return {
    start: () => port.start(),
    postMessage: (message: unknown, transfers?: Transferable[]) => {
      if (!guard.isOver) port.postMessage(message, transfers ?? []);
    },
    addEventListener: (_type: string, listener: EventListenerOrEventListenerObject) => {
      port.addEventListener("message", (event) => {
        const data = event.data as { id?: unknown; type?: unknown } | null;
        if (typeof data?.id !== "string") return;
        const end = readEnd(data);
        if (end !== null) return guard.onEnd(errorOf(end));
        const isAnswer = data.type === "RAW";
        (listener as (event: MessageEvent) => void)(isAnswer ? event : strange(data.id));
      });
    },
    removeEventListener: () => {},
  };
}

function strange(id: string): MessageEvent {
  const error: ErrorData = { code: "PROTOCOL_VIOLATION", message: "The broker gave an answer that is none.", outcome: "unknown" };
  return { data: { id, type: "RAW", value: { ok: false, epoch: 0, error } } } as MessageEvent;
}
