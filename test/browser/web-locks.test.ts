import { webLocks } from "../../src/platform/locks.ts";
import { locksContract } from "../contract/locks.contract.ts";

locksContract("webLocks", () => ({
  locks: webLocks(navigator.locks),
  steal: (name) =>
    new Promise((resolve, reject) => {
      const hold = (): Promise<void> => new Promise((release) => resolve({ release }));
      navigator.locks.request(name, { steal: true }, hold).catch(reject);
    }),
}));
