import { MQError, textOf } from "../model/errors.ts";
import type { Message, MessageExt } from "../model/message.ts";
import { checkClientTopic } from "../model/names.ts";
import type { ConsumeContext, ConsumeResult, MessageListener } from "./listener-runner.ts";
import type { Producer, SendOptions, SendResult } from "./producer.ts";
import type { PushConsumer, PushConsumerOptions } from "./push-consumer.ts";
import type { TabMQ } from "./tabmq.ts";

/** What libraries for schemas have in common (standardschema.dev, version 1), as far as it is needed here. */
export interface StandardSchema<Output> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a Standard Schema says of a value: the value, or what is wrong with it. */
export type StandardResult<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly { readonly message: string }[] };

/** What `defineTopic` takes besides the name. */
export interface TopicDefinitionOptions<Body> {
  /** Turns a body as it was received (JSON, text or bytes, as it was sent) into what the listener gets; throws where it is none. A function, or a schema. */
  parse?: ((body: unknown) => Body | Promise<Body>) | StandardSchema<Body>;
}

/** Everything of a message but what the definition knows. */
export type MessageFields = Omit<Message, "topic" | "body">;

/** A listener for a definition's bodies. */
export type TypedListener<Body> = (body: Body, message: MessageExt, context: ConsumeContext) => ConsumeResult | Promise<ConsumeResult>;

/** What a definition's `subscribe` takes: a push consumer's options, with a listener for bodies. */
export interface TypedConsumerOptions<Body> extends Omit<PushConsumerOptions, "subscriptions" | "messageListener" | "batchListener"> {
  /** `"*"` unless given. */
  filter?: PushConsumerOptions["subscriptions"][string];
  listener: TypedListener<Body>;
}

/** A topic and what its bodies are. Made by `defineTopic`. */
export interface TopicDefinition<Body extends Message["body"]> {
  readonly topic: string;
  /** A message for any `send`, a batch, an outbox or `context.send`. */
  message(body: Body, fields?: MessageFields): Message;
  /** Resolves when the message is stored. */
  send(producer: Producer, body: Body, fields?: MessageFields, options?: SendOptions): Promise<SendResult>;
  /** @throws MQError MESSAGE_ILLEGAL: the body is not what the definition says */
  parse(message: MessageExt): Promise<Body>;
  /** A listener for any consumer of this topic. A body that does not parse fails like a listener that throws: `exceptionPolicy` says what becomes of its message. */
  listener(listener: TypedListener<Body>): MessageListener;
  /** A push consumer of this topic alone. */
  subscribe(mq: TabMQ, options: TypedConsumerOptions<Body>): Promise<PushConsumer>;
}

/** Types, and if wanted checks, for a topic's bodies: `const orders = defineTopic<Order>("orders")`. */
export function defineTopic<Body extends Message["body"]>(topic: string, { parse }: TopicDefinitionOptions<Body> = {}): TopicDefinition<Body> {
  checkClientTopic(topic, "topic");
  const read = async (message: MessageExt): Promise<Body> => {
    try {
      const body: unknown = message.bodyKind === "json" ? message.json() : message.bodyKind === "text" ? message.text() : message.body;
      if (parse === undefined) return body as Body;
      // Some libraries' schemas are functions too, which answer what is wrong instead of throwing it.
      return "~standard" in parse ? valueOf(await parse["~standard"].validate(body)) : await parse(body);
    } catch (cause) {
      throw new MQError("MESSAGE_ILLEGAL", `The body of message ${message.msgId} is not what topic "${topic}" is defined to have: ${textOf(cause)}`, { field: "message.body", cause });
    }
  };
  const messageOf = (body: Body, fields: MessageFields = {}): Message => ({ ...fields, topic, body });
  const listenerOf = (listener: TypedListener<Body>): MessageListener => async (message, context) => listener(await read(message), message, context);
  return {
    topic,
    message: messageOf,
    send: (producer, body, fields, options) => producer.send(messageOf(body, fields), options),
    parse: read,
    listener: listenerOf,
    subscribe: (mq, { filter = "*", listener, ...options }) => mq.createPushConsumer({ ...options, subscriptions: { [topic]: filter }, messageListener: listenerOf(listener) }),
  };
}

function valueOf<Output>(result: StandardResult<Output>): Output {
  if (result.issues === undefined) return result.value;
  throw new Error(result.issues.map(({ message }) => message).join("; "));
}
