import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { House, type Tab } from "../support/house.ts";

let house: House;
afterEach(() => house.close());

/** Connects as an application would: with a key that nobody can read, which it keeps in a database of its own. */
function connectEncrypted(tab: Tab, namespace: string): Promise<void> {
  return tab.run(async (side, given) => {
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error("the request failed"));
      });
    const opening = indexedDB.open("app");
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    const app = await done(opening);
    let encryptionKey: CryptoKey = await done(app.transaction("keys").objectStore("keys").get("tabmq"));
    if (encryptionKey === undefined) {
      encryptionKey = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
      await done(app.transaction("keys", "readwrite").objectStore("keys").put(encryptionKey, "tabmq"));
    }
    app.close();
    side.mq = await side.tabmq.connect({ namespace: given, encryptionKey });
    side.producer = await side.mq.createProducer({ producerGroup: "house" });
  }, namespace);
}

/** The files of the browser's profile in which these bytes stand. */
function filesWith(text: string): string[] {
  const files = readdirSync(house.profile, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map(({ parentPath, name }) => join(parentPath, name)).filter((path) => readFileSync(path).includes(text));
}

test("the browser is closed and started again: with the key that the application kept everything is there, without it nothing is, and no file shows it", async () => {
  house = await House.open();
  // Firefox compresses rows: four characters that stand there twice would be stored once, and in hex they do so now and then.
  const [secret, open] = [randomBytes(32).toString("base64url"), randomBytes(32).toString("base64url")];
  const first = await house.tab();
  await connectEncrypted(first, "vault");
  await first.send("orders", [secret]);
  const plain = await house.tab();
  await plain.connect({ namespace: "plain" });
  await plain.send("orders", [open]);
  await house.restart();

  const second = await house.tab();
  expect(await second.tryConnect({ namespace: "vault" })).toMatchObject({ code: "CANNOT_DECRYPT" });
  await connectEncrypted(second, "vault");
  expect((await second.readAll("orders")).map(({ content }) => content)).toEqual([`t ${secret}`]);
  expect((await second.run(({ mq }) => mq.diagnostics())).broker).toMatchObject({ encrypted: true, damaged: [], storage: "indexeddb" });
  await house.stop();
  expect(filesWith(secret)).toEqual([]);
  // Control: what is not encrypted is found by the same look.
  expect(filesWith(open)).not.toEqual([]);
});
