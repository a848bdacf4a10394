/** A client id is 32 hexadecimal digits: four are enough to tell the tabs on a screen apart. */
export function tabName(clientId: string): string {
  return clientId.slice(0, 4);
}

/** A hue that every tab computes alike from the client id. Colour only supports the name, it never stands alone. */
export function tabHue(clientId: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < clientId.length; at++) hash = Math.imul(hash ^ clientId.charCodeAt(at), 0x01000193);
  return (hash >>> 8) % 360;
}
