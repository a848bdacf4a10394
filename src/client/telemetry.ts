import { type MessageDraft, MAX_SENT_PROPERTIES, type MessageExt } from "../model/message.ts";
import { messageTypeOf } from "../model/typed-message.ts";
import { decodeProperties, encodeProperties } from "../model/properties.ts";

/* What of `@opentelemetry/api` is used. The application gives the module itself; TabMQ imports nothing of it. */

/** OpenTelemetry's `Context`, as far as it is needed. */
export interface TelemetryContext {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): TelemetryContext;
  deleteValue(key: symbol): TelemetryContext;
}

/** OpenTelemetry's `SpanContext`. */
export interface TelemetrySpanContext {
  traceId: string;
  spanId: string;
  traceFlags: number;
  isRemote?: boolean;
  traceState?: TelemetryTraceState;
}

/** OpenTelemetry's `TraceState`, as far as it is needed. */
export interface TelemetryTraceState {
  get(key: string): string | undefined;
  set(key: string, value: string): TelemetryTraceState;
  unset(key: string): TelemetryTraceState;
  serialize(): string;
}

/** OpenTelemetry's attributes, by name. */
export type TelemetryAttributes = Record<string, string | number | string[]>;

/** OpenTelemetry's `Span`, as far as it is needed. */
export interface TelemetrySpan {
  spanContext(): TelemetrySpanContext;
  setAttribute(key: string, value: string | number): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(endTime?: number): void;
}

/** OpenTelemetry's `SpanOptions`, as far as they are needed. */
export interface TelemetrySpanOptions {
  kind: number;
  attributes: TelemetryAttributes;
  links?: { context: TelemetrySpanContext }[];
  startTime?: number;
}

/** The module `@opentelemetry/api`, 1.x. */
export interface TelemetryApi {
  trace: {
    getTracer(name: string, version?: string): { startSpan(name: string, options: TelemetrySpanOptions, context: TelemetryContext): TelemetrySpan };
    setSpan(context: TelemetryContext, span: TelemetrySpan): TelemetryContext;
    setSpanContext(context: TelemetryContext, spanContext: TelemetrySpanContext): TelemetryContext;
  };
  context: {
    active(): TelemetryContext;
    with<Result>(context: TelemetryContext, run: () => Result): Result;
  };
  createTraceState?(text?: string): TelemetryTraceState;
}

/** SpanKind and SpanStatusCode of the API. */
const KIND = { CLIENT: 2, PRODUCER: 3, CONSUMER: 4 } as const;
const STATUS_ERROR = 2;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_ID = /^0+$/;
const MAX_TRACE_STATE = 512;

/** A span that is open around a send or a listener. */
export interface OpenSpan {
  /** Spans that begin in there are its children. */
  run<Result>(work: () => Result): Result;
  /** `error`: why it failed; undefined = it did not. */
  end(error?: { type: string; message: string }): void;
}

/**
 * Spans about messages, by OpenTelemetry's conventions for messaging and RocketMQ: send, create, receive and process. Their
 * contexts travel in the messages as W3C's `traceparent` and `tracestate`, whatever propagator the application has set.
 * A telemetry that throws harms no message.
 */
export class Telemetry {
  readonly #api: TelemetryApi;
  readonly #tracer: ReturnType<TelemetryApi["trace"]["getTracer"]>;
  readonly #common: TelemetryAttributes;

  constructor(api: TelemetryApi, { namespace, clientId, version }: { namespace: string; clientId: string; version: string }) {
    this.#api = api;
    this.#tracer = api.trace.getTracer("tabmq", version);
    this.#common = { "messaging.system": "rocketmq", "messaging.rocketmq.namespace": namespace, "messaging.client.id": clientId };
  }

  /** Messages of one call are about to be sent; each takes the span's context along. Null = there is no span. */
  send(drafts: readonly MessageDraft[]): OpenSpan | null {
    return this.#produce("send", drafts);
  }

  /** A message is made that is sent later, or not at all: with what its listener has consumed, or from an outbox. */
  create(draft: MessageDraft): void {
    this.#produce("create", [draft])?.end();
  }

  #produce(operation: "send" | "create", drafts: readonly MessageDraft[]): OpenSpan | null {
    const [first] = drafts;
    const isBatch = drafts.length > 1;
    const properties = decodeProperties(first!.properties);
    return attempt(() => {
      const span = this.#start(operation, first!.topic, {
        kind: KIND.PRODUCER,
        attributes: {
          "messaging.rocketmq.message.type": messageTypeOf(properties).toLowerCase(),
          ...(first!.messageGroup !== undefined && { "messaging.rocketmq.message.group": first!.messageGroup }),
          ...(isBatch ? { "messaging.batch.message_count": drafts.length } : {
            "messaging.message.id": first!.msgId, "messaging.message.body.size": first!.body.byteLength, ...labels(properties["TAGS"], properties["KEYS"]?.split(" ")),
          }),
        },
      });
      const carried = carry(span.spanContext());
      for (const draft of drafts) inject(draft, carried);
      return this.#open(span, this.#api.context.active());
    });
  }

  /** Messages have come to whoever asked for them, since `startTime` (ms since 1970). */
  received(group: string, messages: readonly MessageExt[], startTime: number): void {
    const [first] = messages;
    if (first === undefined) return;
    attempt(() => {
      const span = this.#start("receive", first.topic, {
        kind: KIND.CLIENT,
        startTime,
        links: this.#links(messages),
        attributes: { "messaging.consumer.group.name": group, "messaging.batch.message_count": messages.length },
      });
      span.end();
    });
  }

  /** Messages go to a listener. Of one message the span is the sender's child; of several it is linked to each. Null = there is no span. */
  process(group: string, messages: readonly MessageExt[], model: "clustering" | "broadcasting"): OpenSpan | null {
    const [first] = messages;
    const isBatch = messages.length > 1;
    return attempt(() => {
      const active = this.#api.context.active();
      const links = this.#links(messages);
      const parent = isBatch || links[0] === undefined ? active : this.#api.trace.setSpanContext(active, links[0].context);
      const span = this.#start("process", first!.topic, {
        kind: KIND.CONSUMER,
        ...(isBatch && { links }),
        attributes: {
          "messaging.consumer.group.name": group, "messaging.rocketmq.consumption_model": model, "messaging.destination.partition.id": `${first!.queueId}`,
          ...(isBatch ? { "messaging.batch.message_count": messages.length } : { "messaging.message.id": first!.msgId, "messaging.message.body.size": first!.body.byteLength, ...labels(first!.tags, first!.keys) }),
          ...(first!.messageGroup !== undefined && { "messaging.rocketmq.message.group": first!.messageGroup }),
        },
      }, parent);
      return this.#open(span, parent);
    });
  }

  #start(operation: "send" | "create" | "receive" | "process", topic: string, options: TelemetrySpanOptions, context = this.#api.context.active()): TelemetrySpan {
    const attributes = { ...this.#common, "messaging.operation.name": operation, "messaging.operation.type": operation, "messaging.destination.name": topic, ...options.attributes };
    return this.#tracer.startSpan(`${operation} ${topic}`, { ...options, attributes }, context);
  }

  #open(span: TelemetrySpan, parent: TelemetryContext): OpenSpan {
    return {
      run: (work) => this.#api.context.with(this.#api.trace.setSpan(parent, span), work),
      end: (error) =>
        void attempt(() => {
          if (error !== undefined) {
            span.setAttribute("error.type", error.type);
            span.setStatus({ code: STATUS_ERROR, message: error.message });
          }
          span.end();
        }),
    };
  }

  #links(messages: readonly MessageExt[]): { context: TelemetrySpanContext }[] {
    return messages.flatMap(({ properties }) => {
      const context = this.#extract(properties);
      return context === null ? [] : [{ context }];
    });
  }

  /** What anybody may have written. Null = nothing of use. */
  #extract({ traceparent = "", tracestate = "" }: Readonly<Record<string, string>>): TelemetrySpanContext | null {
    const [, version, traceId, spanId, flags, more] = TRACEPARENT.exec(traceparent) ?? [];
    if (version === undefined || version === "ff" || (version === "00" && more !== undefined) || NO_ID.test(traceId!) || NO_ID.test(spanId!)) return null;
    const traceState = tracestate === "" || tracestate.length > MAX_TRACE_STATE ? undefined : this.#api.createTraceState?.(tracestate);
    return { traceId: traceId!, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16), isRemote: true, ...(traceState !== undefined && { traceState }) };
  }
}

function labels(tag: string | undefined, keys: string[] = []): TelemetryAttributes {
  return { ...(tag !== undefined && { "messaging.rocketmq.message.tag": tag }), ...(keys.length > 0 && { "messaging.rocketmq.message.keys": keys }) };
}

function carry({ traceId, spanId, traceFlags, traceState }: TelemetrySpanContext): string {
  if (NO_ID.test(traceId) || NO_ID.test(spanId)) return "";
  const state = traceState?.serialize() ?? "";
  // oxlint-disable-next-line no-control-regex -- the separators of properties are control characters
  const isCarried = state.length <= MAX_TRACE_STATE && /^[\u0020-\u007e]*$/.test(state);
  return encodeProperties([["traceparent", `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, "0")}`], ["tracestate", isCarried ? state : ""]]);
}

/** Unless the application has said itself where the message belongs, or there is no room. What is carried is ASCII. */
function inject(draft: MessageDraft, carried: string): void {
  if (draft.properties.includes("traceparent\u0001") || draft.propertiesBytes + carried.length > MAX_SENT_PROPERTIES) return;
  draft.properties += carried;
  draft.propertiesBytes += carried.length;
}

function attempt<Result>(work: () => Result): Result | null {
  try {
    return work();
  } catch {
    return null;
  }
}
