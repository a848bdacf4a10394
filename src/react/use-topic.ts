import { useCallback, useEffect, useRef, useState } from "react";
import { type Message, type MessageFields, MQError, type Producer, type SendResult, type TopicDefinition } from "../index.ts";
import { asError, useTabMQ } from "./provider.ts";
import { useNewest } from "./use-newest.ts";

/** What `useTopic` answers. */
export interface Topic<Body> {
  /** Resolves when the message is stored. Called before the connection is there, it waits for it; rejects with why there is none, or CLOSED when the component is gone. */
  send: (body: Body, fields?: MessageFields) => Promise<SendResult>;
  /** Sends that are not answered yet. */
  pending: number;
  /** Why the last send, or the connection, has failed; null = it has not. */
  error: MQError | null;
}

interface Waiting {
  resolve: (producer: Producer) => void;
  reject: (error: MQError) => void;
}

/** Sends to a topic, given by name or as `defineTopic` made it. `producerGroup`: "react" unless given. */
export function useTopic<Body extends Message["body"] = Message["body"]>(topic: string | TopicDefinition<Body>, { producerGroup = "react" }: { producerGroup?: string } = {}): Topic<Body> {
  const { mq, error: failure } = useTabMQ();
  const [pending, setPending] = useState(0);
  const [error, setError] = useState<MQError | null>(null);
  const producer = useRef<Promise<Producer> | null>(null);
  const waiting = useRef<Waiting[]>([]);
  /** Why nothing can be sent for the time being. */
  const refusal = useRef<MQError | null>(null);
  const newest = useNewest(topic);

  useEffect(() => {
    if (mq === null) return undefined;
    const making = mq.createProducer({ producerGroup });
    producer.current = making;
    for (const { resolve, reject } of waiting.current.splice(0)) making.then(resolve, (thrown: unknown) => reject(asError(thrown)));
    making.catch((thrown: unknown) => setError(asError(thrown)));
    return () => {
      if (producer.current === making) producer.current = null;
      making.then((made) => made.shutdown()).catch(() => {});
    };
  }, [mq, producerGroup]);

  useEffect(() => {
    const refuse = (reason: MQError): void => {
      for (const { reject } of waiting.current.splice(0)) reject(reason);
    };
    refusal.current = failure;
    if (failure !== null) refuse(failure);
    return () => {
      const gone = new MQError("CLOSED", "The component that wanted to send is gone.");
      refusal.current = gone;
      // Not at once: in StrictMode it is there again in the same moment.
      queueMicrotask(() => refusal.current === gone && refuse(gone));
    };
  }, [failure]);

  const send = useCallback(async (body: Body, fields?: MessageFields): Promise<SendResult> => {
    setPending((count) => count + 1);
    try {
      if (producer.current === null && refusal.current !== null) throw refusal.current;
      const made = await (producer.current ?? new Promise<Producer>((resolve, reject) => waiting.current.push({ resolve, reject })));
      const { current } = newest;
      const result = await made.send(typeof current === "string" ? { ...fields, topic: current, body } : current.message(body, fields));
      setError(null);
      return result;
    } catch (thrown) {
      setError(asError(thrown));
      throw thrown;
    } finally {
      setPending((count) => count - 1);
    }
  }, []);

  return { send, pending, error: error ?? failure };
}
