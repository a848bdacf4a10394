/**
 * An assertion states what the code around it relies on. It stays on in production:
 * a broker that stops is better than one that goes on in a state nobody thought of.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}

/** A bug of ours, never of the caller's. */
class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}
