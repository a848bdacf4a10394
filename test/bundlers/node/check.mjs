// The package where there is no browser, by its name: all that `exports` offers, by import and by require.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import * as imported from "tabmq";
import * as inline from "tabmq/worker-inline";
import manifest from "tabmq/package.json" with { type: "json" };

const required = createRequire(import.meta.url)("tabmq");
for (const { connect, MQError } of [imported, required]) {
  const error = await connect().then(() => null, (reason) => reason);
  assert.ok(error instanceof MQError);
  assert.equal(error.code, "UNSUPPORTED_ENVIRONMENT");
}
assert.equal(required.MQError, imported.MQError);
assert.deepEqual(Object.keys(inline), ["startInlineWorker"]);
assert.equal(manifest.name, "tabmq");
for (const path of ["worker", "devtools"]) assert.ok(existsSync(fileURLToPath(import.meta.resolve(`tabmq/${path}`))), path);
assert.throws(() => import.meta.resolve("tabmq/dist/index.js"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" });
