import { serveWithout } from "./host.ts";

/** `complete` without a flush to the device: what browsers do by themselves. */
// oxlint-disable-next-line typescript/unbound-method -- called with its `this` below
const { transaction } = IDBDatabase.prototype;
IDBDatabase.prototype.transaction = function (stores, mode) {
  return transaction.call(this, stores, mode, { durability: "relaxed" });
};

serveWithout({});
