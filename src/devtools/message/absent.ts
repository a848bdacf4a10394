import { MQError } from "../../index.ts";

/** For a `catch` where no message is an answer like others. @throws what says something else than that there is none */
export function nullWhenAbsent(error: unknown): null {
  if (error instanceof MQError && error.code === "NO_MESSAGE") return null;
  throw error;
}
