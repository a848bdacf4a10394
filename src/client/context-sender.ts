import { asMQError, errorFromData, MQError } from "../model/errors.ts";
import { MAX_CONTEXT_MESSAGES, MAX_FRAME_BYTES, MAX_TOPIC_LENGTH } from "../model/limits.ts";
import { draftMessage, type Message, type MessageDraft, type MessageExt } from "../model/message.ts";
import { MessageIdGenerator } from "../model/message-id.ts";
import { recordBytes } from "../model/record-codec.ts";
import { FRAME_DIVERTED, FRAME_HEADER_BYTES, FrameWriter } from "../protocol/frame.ts";
import { BrokerGone } from "./channel.ts";
import type { Connection } from "./connection.ts";
import type { GroupMember } from "./group-member.ts";
import type { Idempotence } from "./idempotence.ts";
import type { ProcessQueue } from "./process-queue.ts";
import { QueueChooser } from "./queue-chooser.ts";
import type { Route, Routes } from "./routes.ts";
import type { Tracer } from "./tracer.ts";

/** A message that a listener has sent through its context. */
export interface ContextSend {
  message: Message;
  draft: MessageDraft;
}

/** What one call of a listener sends, until it ends. */
export interface ContextSends {
  send(message: Message): string;
  /** Nothing more is taken; returns what was sent. */
  end(): ContextSend[];
}

/** Which messages are finished, and why the others cannot be; null = they may be tried as they are. */
export interface Finished<Work> {
  taken: Set<Work>;
  refusal: MQError | null;
}

/** For listeners whose messages nobody acknowledges. */
export const NO_CONTEXT_SENDS: ContextSends = {
  send: () => {
    throw new MQError("UNSUPPORTED", "A broadcasting listener's messages are acknowledged by nobody: send with a producer.", { field: "context.send" });
  },
  end: () => [],
};

/** Sends what listeners have sent through their context, in the transaction that finishes the messages they were given. */
export class ContextSender {
  readonly #connection: Connection;
  readonly #routes: Routes;
  /** Tells which group sends by these ids; null = nobody wants to know. */
  readonly #tell: ((prefix: string) => void) | null;
  readonly #ids: MessageIdGenerator;
  readonly #queues: QueueChooser;

  constructor({ connection, routes, group, tracer }: { connection: Connection; routes: Routes; group: string; tracer: Tracer | null }) {
    const { random, clock } = connection.environment;
    this.#connection = connection;
    this.#routes = routes;
    this.#tell = tracer === null ? null : (prefix) => tracer.producer(group, prefix);
    this.#ids = new MessageIdGenerator((count) => random.bytes(count), () => clock.now());
    this.#queues = new QueueChooser(random);
  }

  /** For one call of a listener. */
  open(): ContextSends {
    const sends: ContextSend[] = [];
    let bytes = FRAME_HEADER_BYTES;
    let isOver = false;
    return {
      send: (message) => {
        if (isOver) throw new MQError("CLOSED", "The listener's call is over: what it sends now cannot be stored with its messages any more.", { field: "context.send" });
        const draft = draftMessage(message, this.#ids.next(), this.#connection.serving.settings.maxMessageSize);
        this.#connection.options.telemetry?.create(draft);
        bytes += recordBytes(draft, MAX_TOPIC_LENGTH);
        if (sends.length === MAX_CONTEXT_MESSAGES || bytes > MAX_FRAME_BYTES) {
          throw new MQError("FLOW_CONTROL", `One call of a listener sends at most ${MAX_CONTEXT_MESSAGES} messages, ${MAX_FRAME_BYTES / 2 ** 20} MiB together.`, { field: "context.send" });
        }
        if (this.#ids.isDue) this.#tell?.(this.#ids.prefix);
        this.#ids.isDue = false;
        // The caller may change its bytes before they are written.
        sends.push({ message, draft: { ...draft, body: draft.body.slice() } });
        return draft.msgId;
      },
      end: () => {
        isOver = true;
        return sends;
      },
    };
  }

  /** Finishes messages together with what was sent for them; without that there is nothing to wait for. */
  async finish<Work extends { message: MessageExt }>(
    { member, idempotence, onError }: { member: Pick<GroupMember, "finish">; idempotence?: Idempotence | null; onError: (error: MQError) => void },
    processQueue: ProcessQueue,
    works: readonly Work[],
    sends: readonly ContextSend[],
  ): Promise<Finished<Work>> {
    if (sends.length === 0 || works.length === 0) return { taken: new Set(works), refusal: null };
    try {
      const keys = idempotence ? works.map(({ message }) => idempotence.keyOf(message)) : undefined;
      const { refused } = await member.finish(processQueue, works.map(({ message }) => message.queueOffset), await this.#frame(sends), keys);
      if (refused[0] !== undefined) onError(errorFromData(refused[0].error));
      const offsets = new Set(refused.map(({ queueOffset }) => queueOffset));
      return { taken: new Set(works.filter(({ message }) => !offsets.has(message.queueOffset))), refusal: null };
    } catch (failure) {
      // Whoever has no broker hears of that otherwise.
      if (failure instanceof BrokerGone) return { taken: new Set(), refusal: null };
      const error = asMQError(failure);
      // A topic that was made on the fly by a broker that could not store it is made anew at the next try.
      if (error.code === "TOPIC_NOT_EXIST" || error.field === "queueId") for (const { draft } of sends) this.#routes.forget(draft.topic);
      onError(error);
      return { taken: new Set(), refusal: error.retriable || error.outcome === "unknown" ? null : error };
    }
  }

  async #frame(sends: readonly ContextSend[]): Promise<ArrayBuffer> {
    const routes = new Map<string, Route>();
    for (const { draft: { topic } } of sends) if (!routes.has(topic)) routes.set(topic, await this.#routes.of(topic));
    const writer = new FrameWriter(0, sends.some(({ draft }) => draft.isDiverted) ? FRAME_DIVERTED : 0);
    const now = this.#connection.environment.clock.now();
    for (const { message, draft } of sends) {
      const { config, topicBytes } = routes.get(draft.topic)!;
      const { queueId } = this.#queues.choose(config, { message, messageGroup: draft.messageGroup, priority: draft.priority, options: {} });
      writer.write(draft, topicBytes, queueId, now);
    }
    return writer.finish();
  }
}
