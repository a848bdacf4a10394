import { MQError } from "../model/errors.ts";
import { readRecallHandle } from "../model/timer.ts";
import type { RecallReply } from "../protocol/api.ts";
import type { Connection } from "./connection.ts";
import type { Tracer } from "./tracer.ts";

/** Calls a timer off, in the name of a producer group. @throws MQError INVALID_PARAMETER: no handle, or one of another broker */
export async function recall(connection: Connection, tracer: Tracer, group: string, handle: string): Promise<RecallReply> {
  const { brokerName, ...timer } = readRecallHandle(handle);
  if (brokerName !== connection.serving.brokerName) {
    throw new MQError("INVALID_PARAMETER", `The handle is of the broker "${brokerName}"; this one is "${connection.serving.brokerName}".`, { field: "recallHandle" });
  }
  const reply = await connection.call("recall", [timer]);
  tracer.recall({ group, topic: timer.topic, msgId: timer.msgId, success: reply.recalled });
  return reply;
}
