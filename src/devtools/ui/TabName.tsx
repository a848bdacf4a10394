import { useDevtools, useTranslate } from "../context.ts";
import { tabHue } from "./tab-hue.ts";

/** A random client id is 32 hexadecimal digits: four are enough to tell the tabs on a screen apart. A name that somebody chose is shown whole. */
function shortName(clientId: string): string {
  return /^[0-9a-f]{32}$/.test(clientId) ? clientId.slice(0, 4) : clientId;
}

/** A client, by colour and name; the one of this element as "This tab", unless `always` its name. */
export function TabName({ clientId, always = false }: { clientId: string; always?: boolean }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const isOwn = !always && clientId === session.client.value?.clientId;
  return (
    <span class="tab-name" title={clientId} style={{ "--tab-hue": tabHue(clientId) }}>
      <span class="dot" aria-hidden="true" />
      {isOwn ? <strong>{t("shell.thisTab")}</strong> : <code>{shortName(clientId)}</code>}
    </span>
  );
}
