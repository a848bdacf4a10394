// @ts-check
/** DevTools' view of a SharedWorker, which no page can have. */

/** @typedef {(method: any, params?: any) => Promise<any>} Session */

/**
 * @param {import("playwright-core").BrowserContext} context
 * @param {string} part of the worker's name
 * @returns {Promise<Session>}
 */
export async function workerSession(context, part) {
  const session = await /** @type {import("playwright-core").Browser} */ (context.browser()).newBrowserCDPSession();
  const { targetInfos } = await session.send("Target.getTargets");
  const worker = targetInfos.find(({ type, title }) => type === "shared_worker" && title.includes(part));
  if (!worker) throw new Error("the broker's worker is not there");
  // Playwright cannot address the sessions of flat mode.
  const { sessionId } = await session.send("Target.attachToTarget", { targetId: worker.targetId, flatten: false });
  /** @type {Map<number, (data: any) => void>} */
  const waiting = new Map();
  session.on("Target.receivedMessageFromTarget", ({ message }) => {
    const data = JSON.parse(message);
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  });
  let next = 1;
  return async (method, params = {}) => {
    const id = next++;
    const answer = new Promise((resolve) => waiting.set(id, resolve));
    await session.send("Target.sendMessageToTarget", { sessionId, message: JSON.stringify({ id, method, params }) });
    const { result, error } = await answer;
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
}

/** After a collection of garbage. @param {Session} session @returns {Promise<{ usedSize: number, backingStorageSize?: number }>} */
export async function heap(session) {
  await session("HeapProfiler.collectGarbage");
  return session("Runtime.getHeapUsage");
}

/** Bytes of all WebAssembly memories. @param {Session} session @returns {Promise<number>} */
export async function wasmBytes(session) {
  const objectGroup = "wasm";
  const { result: prototype } = await session("Runtime.evaluate", { expression: "WebAssembly.Memory.prototype", objectGroup });
  const { objects } = await session("Runtime.queryObjects", { prototypeObjectId: prototype.objectId, objectGroup });
  const functionDeclaration = "function () { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0); }";
  const { result } = await session("Runtime.callFunctionOn", { objectId: objects.objectId, functionDeclaration, returnByValue: true });
  await session("Runtime.releaseObjectGroup", { objectGroup });
  return result.value;
}
