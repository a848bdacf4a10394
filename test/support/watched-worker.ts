/**
 * A worker's script with an ear for the test, for engines whose protocol does not reach shared workers: a page asks it
 * to evaluate something, or to end. `close()` tells nobody, as a crash would not.
 */
import type { EnginePage } from "./engines/engine.ts";

const CHANNEL = "test/workers";

const EAR = `{
  const channel = new BroadcastChannel("${CHANNEL}");
  channel.onmessage = ({ data }) => {
    const { id, urlEnd, name, expression } = data;
    if (id === undefined || !location.pathname.endsWith(urlEnd) || !self.name.startsWith(name)) return;
    channel.postMessage({ answers: id, value: (0, eval)(expression) });
  };
}`;

export function watched(script: string): string {
  return `${script}\n${EAR}`;
}

/** What the watched workers, found by the ends of their scripts' URLs and the beginnings of their names, answer within the time, or the first of them. */
export function askWorkers(page: EnginePage, urlEnd: string, name: string, expression: string, within: number): Promise<unknown[]> {
  return page.evaluate(
    async (given) => {
      const port = new BroadcastChannel(given.channel);
      const id = crypto.randomUUID();
      const values: unknown[] = [];
      await new Promise<void>((done) => {
        setTimeout(done, given.within);
        port.onmessage = ({ data }: MessageEvent<{ answers?: string; value: unknown }>) => {
          if (data.answers !== id) return;
          values.push(data.value);
          // Another one has heard it at the same time.
          setTimeout(done, 200);
        };
        port.postMessage({ id, ...given });
      });
      port.close();
      return values;
    },
    { channel: CHANNEL, urlEnd, name, expression, within },
  );
}
