import { webLocks } from "../../src/platform/locks.ts";
import { locksContract } from "../contract/locks.contract.ts";

locksContract("webLocks", () => webLocks(navigator.locks));
