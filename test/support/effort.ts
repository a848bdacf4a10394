/** `npm test` sets it, because all tests together have to end in a few minutes; the commands for a part of them leave nothing out. */
export const SHORT = process.env.TABMQ_SHORT === "1";
