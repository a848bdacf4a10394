import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { BrokerStats } from "../../../index.ts";
import { useDevtools, useTranslate } from "../../context.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { Panel } from "../../ui/Panel.tsx";

/** The end of the namespace. Afterwards the frame says so, and offers a new beginning. */
export function Destroy({ stats }: { stats: BrokerStats }) {
  const { session } = useDevtools();
  const t = useTranslate();
  const isAsked = useSignal(false);
  const opener = useRef<HTMLButtonElement>(null);
  const others = Math.max(0, stats.clients - 1);
  const destroy = async (): Promise<void> => {
    const root = opener.current?.getRootNode() as ShadowRoot | undefined;
    await session.mq.admin.destroy();
    await session.refresh();
    // The button that had the focus is gone with the panel.
    root?.querySelector<HTMLElement>("#panel")?.focus();
  };
  return (
    <Panel title={t("broker.destroy")}>
      <div class="destroy">
        <p>{t("broker.destroy.text")}</p>
        <button ref={opener} type="button" class="button danger" onClick={() => (isAsked.value = true)}>{t("broker.destroy.open")}</button>
      </div>
      {isAsked.value && (
        <Confirm title={t("broker.destroy.title", { namespace: session.namespace })} action={t("broker.destroy.action")} name={session.namespace} done={t("broker.destroy.done", { namespace: session.namespace })} act={destroy} onClose={() => (isAsked.value = false)}>
          <ul class="consequences">
            <li>{t("broker.destroy.all", { messages: t("common.messages", { count: stats.messages }), topics: t("broker.topics", { count: stats.topics }), groups: t("broker.groups", { count: stats.groups }), bytes: t.bytes(stats.bytes) })}</li>
            <li>{others === 0 ? t("broker.destroy.alone") : t("broker.destroy.others", { count: others })}</li>
            <li>{t("broker.destroy.after")}</li>
          </ul>
        </Confirm>
      )}
    </Panel>
  );
}
