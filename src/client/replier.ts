import { MQError } from "../model/errors.ts";
import { CALL_TIMEOUT, REJOIN_GRACE } from "../model/limits.ts";
import { draftMessage, type Message, type MessageExt } from "../model/message.ts";
import { MessageIdGenerator } from "../model/message-id.ts";
import { PROPERTY } from "../model/properties.ts";
import { encodeTopic } from "../model/record-codec.ts";
import { createReplyMessage } from "../model/request-reply.ts";
import { sleep } from "../platform/timers.ts";
import { FrameWriter } from "../protocol/frame.ts";
import { integer, optional, record } from "../protocol/validate.ts";
import type { Connection } from "./connection.ts";

/** What `context.reply` takes besides the body. */
export interface ReplyOptions {
  /** The reply's own. */
  properties?: Record<string, string>;
  /** Until the requester has taken it, ms. Default 10,000. */
  timeout?: number;
}

const replyOptions = record({
  properties: optional((value: unknown) => value as Record<string, string>),
  timeout: optional(integer(1, 2 ** 31 - 1)),
});

/** Between two tries to find a requester that is looking for the broker itself, ms. */
const RETRY_DELAY = 100;

/** Sends replies to requests. */
export class Replier {
  readonly #connection: Connection;
  readonly #ids: MessageIdGenerator;

  constructor(connection: Connection) {
    const { random, clock } = connection.environment;
    this.#connection = connection;
    this.#ids = new MessageIdGenerator((count) => random.bytes(count), () => clock.now());
  }

  /** Resolves when the requester has the reply. */
  async reply(request: MessageExt, body: Message["body"], options: ReplyOptions = {}): Promise<void> {
    const { properties, timeout = CALL_TIMEOUT } = replyOptions(options, "reply");
    const { topic, properties: system } = createReplyMessage(request, body);
    const draft = draftMessage({ topic, body, ...(properties !== undefined && { properties }) }, this.#ids.next(), this.#connection.serving.settings.maxMessageSize, Object.entries(system));
    const { clock, timers } = this.#connection.environment;
    const writer = new FrameWriter(0);
    writer.write(draft, encodeTopic(topic), 0, clock.now());
    const frame = writer.finish();
    const deadline = clock.monotonic() + timeout;
    for (;;) {
      const outcome = await this.#connection.call("reply", [frame], Math.max(1, deadline - clock.monotonic()));
      if (outcome === "delivered") return;
      const requester = system[PROPERTY.REPLY_TO_CLIENT]!;
      if (outcome === "full") throw new MQError("FLOW_CONTROL", `Too many replies wait in client "${requester}" already; reply again later.`, { field: "request" });
      if (outcome === "declined") throw unwanted(`Client "${requester}" does not wait for it any more: its time was up, or somebody else was faster.`);
      const isLate = clock.monotonic() + RETRY_DELAY >= deadline;
      if (outcome === "gone" && (isLate || clock.monotonic() - this.#connection.lostAt > REJOIN_GRACE)) throw unwanted(`Client "${requester}" is gone, or does not wait for replies any more.`);
      if (isLate) throw new MQError("DEADLINE_EXCEEDED", `Client "${requester}" did not take the reply within ${timeout} ms; it lives, and may have it.`, { outcome: "unknown" });
      await sleep(timers, RETRY_DELAY);
    }
  }
}

function unwanted(why: string): MQError {
  return new MQError("REPLY_NOT_WANTED", `Nobody waits for this reply. ${why}`, { field: "request" });
}
