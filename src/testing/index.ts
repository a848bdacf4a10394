/**
 * `tabmq/testing`: a broker in the same process, for an application's own tests. Needs no browser.
 * @module tabmq/testing
 */
export { createTestBroker, type TestBroker, type TestBrokerOptions } from "./test-broker.ts";
export type { SendFault } from "./send-faults.ts";
export type { TestClock } from "./virtual-clock.ts";
