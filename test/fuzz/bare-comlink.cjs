// A thread that exposes its object as comlink's manual shows it, without our guard: what the raw-port fuzzer has to hurt.
const { parentPort, workerData } = require("node:worker_threads");
const { expose } = require("comlink");

const api = { secret: "42" };
for (const name of workerData.methods) api[name] = async () => name;
const snapshot = () => JSON.stringify([Object.prototype, Array.prototype, Function.prototype, Promise.prototype].map((object) => Reflect.ownKeys(object).map(String).sort()));
const [before, methods] = [snapshot(), { ...api }];

// Without the guard a message may throw anywhere; that is harm too, but not the harm that is counted here.
process.on("uncaughtException", () => {});
process.on("unhandledRejection", () => {});
expose(api, workerData.port);
workerData.port.start();
parentPort.on("message", () => {
  const overwritten = Reflect.ownKeys(methods).filter((name) => api[name] !== methods[name]);
  parentPort.postMessage({ polluted: snapshot() !== before, overwritten: overwritten.length }, []);
});
