/** A client id is 32 hexadecimal digits: four are enough to tell the tabs on a screen apart. */
export function tabName(clientId: string): string {
  return clientId.slice(0, 4);
}

/** Hues from green over blue to red; those between red and green look like the amber of waiting messages. */
const FIRST_HUE = 120;
const HUES = 275;

/** A hue that every tab computes alike from the client id. Colour only supports the name, it never stands alone. */
export function tabHue(clientId: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < clientId.length; at++) hash = Math.imul(hash ^ clientId.charCodeAt(at), 0x01000193);
  return FIRST_HUE + ((hash >>> 8) % HUES);
}
