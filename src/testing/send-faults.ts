import type { Producer, TabMQ } from "../index.ts";
import { type ErrorCode, MQError } from "../model/errors.ts";

/** How a send is to fail. */
export interface SendFault {
  /** Default STORAGE_FULL. */
  code?: ErrorCode;
  /** How many sends fail. Default 1. */
  times?: number;
  /** The message is stored, and its sender does not hear of it: the error's outcome is `unknown`. Default false. */
  stored?: boolean;
}

/** Sends that fail because a test wants it. */
export class SendFaults {
  #faults: Required<Omit<SendFault, "times">>[] = [];

  add({ code = "STORAGE_FULL", times = 1, stored = false }: SendFault): void {
    for (let count = 0; count < times; count++) this.#faults.push({ code, stored });
  }

  clear(): void {
    this.#faults = [];
  }

  /** The client's producers ask here before they send. */
  watch(mq: TabMQ): void {
    const createProducer = mq.createProducer.bind(mq);
    mq.createProducer = async (options) => this.#guard(await createProducer(options));
  }

  #guard(producer: Producer): Producer {
    const send = producer.send.bind(producer) as (...args: unknown[]) => Promise<unknown>;
    const guarded = async (...args: unknown[]): Promise<unknown> => {
      const fault = this.#faults.shift();
      if (fault === undefined) return send(...args);
      if (fault.stored) await send(...args);
      throw new MQError(fault.code, "The test wanted this send to fail.", { outcome: fault.stored ? "unknown" : "rejected" });
    };
    producer.send = guarded as Producer["send"];
    return producer;
  }
}
