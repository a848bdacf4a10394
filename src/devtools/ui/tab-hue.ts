/** Hues from green over blue to red; those between red and green look like the amber of waiting messages. */
const FIRST_HUE = 120;
const HUES = 275;

/** A hue that every tab computes alike from the client id. Colour only supports the name, it never stands alone. */
export function tabHue(clientId: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < clientId.length; at++) hash = Math.imul(hash ^ clientId.charCodeAt(at), 0x01000193);
  // Mixed once more, or names that differ in their last digit only would look alike.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return FIRST_HUE + (((hash ^ (hash >>> 13)) >>> 0) % HUES);
}
