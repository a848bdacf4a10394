/**
 * Whether a value was made by this class of this package, by whichever copy of it: an application may have two (`tabmq/testing`
 * holds a whole one), and an error of one is to be an MQError to the other.
 */
export function isBranded(value: unknown, brand: symbol): boolean {
  return typeof value === "object" && value !== null && brand in value;
}
