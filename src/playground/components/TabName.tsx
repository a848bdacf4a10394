import { client } from "../state.ts";
import { tabHue, tabName } from "../tab-name.ts";

/** A tab by its colour and name; this tab is called so. */
export function TabName({ clientId }: { clientId: string }) {
  const isThis = client.value?.clientId === clientId;
  return (
    <span class="tab-name" title={`Client id ${clientId}`}>
      <span class="dot" style={{ "--tab-hue": tabHue(clientId) }} aria-hidden="true" />
      {isThis ? <strong>This tab</strong> : <>Tab <code>{tabName(clientId)}</code></>}
    </span>
  );
}
