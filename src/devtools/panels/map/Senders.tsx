import type { ReadonlySignal } from "@preact/signals";
import { useTranslate } from "../../context.ts";
import { tabHue } from "../../ui/tab-hue.ts";
import { TabName } from "../../ui/TabName.tsx";
import { senderPlace, type Witness } from "./flows.ts";
import type { Sender } from "./topic-view.ts";

/** More are one line. */
const MOST = 6;

interface SendersProps {
  senders: readonly Sender[];
  ownId: string;
  witness: ReadonlySignal<Witness> | undefined;
}

export function Senders({ senders, ownId, witness }: SendersProps) {
  const t = useTranslate();
  return (
    <section class="senders" aria-labelledby="map-senders">
      <h3 id="map-senders">{t("map.senders")}</h3>
      {senders.length === 0 && <p class="slot quiet">{t("map.senders.none")}</p>}
      <ul class="nodes">
        {senders.slice(0, MOST).map(({ clientId, putMessages }) => (
          <li key={clientId} class="node" data-place={senderPlace(clientId)} style={{ "--tab-hue": tabHue(clientId) }}>
            <TabName clientId={clientId} />
            {clientId === ownId && witness !== undefined
              ? <small>{t("map.sent", { count: witness.value.sent })}</small>
              : <small title={t("map.sent.hint")}>{t("map.sent", { count: putMessages })}</small>}
          </li>
        ))}
      </ul>
      {senders.length > MOST && <p class="quiet more">{t("map.more", { count: senders.length - MOST })}</p>}
    </section>
  );
}
