/// <reference lib="webworker" />
import { expose } from "comlink";

/** A worker as comlink's manual shows it: what the guarded endpoint is for. */
const api = { greet: (name: string) => `hello ${name}`, secret: "42" };

(self as unknown as SharedWorkerGlobalScope).onconnect = ({ ports: [port] }) => {
  if (port !== undefined) expose(api, port);
};
