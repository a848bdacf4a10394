import { useMemo } from "preact/hooks";
import { useDevtools, useTranslate } from "../../context.ts";
import { diagnostics } from "../../i18n/en/diagnostics.ts";
import { usePolled } from "../../polled.ts";
import { useStyles } from "../../styles.ts";
import { Answer } from "../../ui/Answer.tsx";
import { Panel } from "../../ui/Panel.tsx";
import { CopyButton } from "../../ui/CopyButton.tsx";
import { FindingCard, GoodLine, SeverityTag } from "./FindingCard.tsx";
import { type Finding, findings, type Observation, SEVERITIES } from "./findings.ts";
import { GroupWatch } from "./group-state.ts";
import css from "./diagnostics.css?inline";

export const texts = [diagnostics];

const ASK_EVERY = 3000;

/** What is wrong, and how to mend it. */
export default function DiagnosticsPanel() {
  useStyles(css);
  const { session } = useDevtools();
  const t = useTranslate();
  const watch = useMemo(() => new GroupWatch(), []);
  const state = usePolled(async () => {
    const { admin } = session.mq;
    const [report, stats, groups, clients] = await Promise.all([session.mq.diagnostics(), admin.brokerStats(), watch.ask(admin), admin.clients()]);
    return { report, stats, groups, clients, at: Date.now() };
  }, ASK_EVERY);
  const observation = state.value.value;
  return (
    <>
      <Panel
        title={t("diagnostics.nav")}
        tools={observation === undefined ? undefined : <CopyButton text={() => reportOf(state.value.value ?? observation)} label={t("diagnostics.copy")} hint={t("diagnostics.copy.hint")} refused={t("diagnostics.copyRefused")} />}
      >
        <Answer of={state}>{(value) => <Findings found={findings(value)} />}</Answer>
      </Panel>
      {observation !== undefined && (
        <section class="panel" aria-label={t("diagnostics.raw")}>
          <details>
            <summary>{t("diagnostics.raw")}</summary>
            <p class="hint raw-hint">{t("diagnostics.copy.hint")}</p>
            <pre class="body" tabIndex={0}>{reportOf(observation)}</pre>
          </details>
        </section>
      )}
    </>
  );
}

function Findings({ found }: { found: readonly Finding[] }) {
  const t = useTranslate();
  const troubles = found.filter(({ severity }) => severity !== "good");
  const goods = found.filter(({ severity }) => severity === "good");
  return (
    <div class="diagnosis">
      <ul class="tally">
        {SEVERITIES.map((severity) => [severity, found.filter((one) => one.severity === severity).length] as const).filter(([, count]) => count > 0).map(([severity, count]) => (
          <li key={severity} data-tally={severity}><SeverityTag severity={severity} /><strong>{t.number(count)}</strong></li>
        ))}
      </ul>
      {troubles.length === 0 && <p class="outcome good">{t("diagnostics.allWell")}</p>}
      {troubles.length > 0 && <ul class="findings" aria-label={t("diagnostics.findings")}>{troubles.map((finding) => <FindingCard key={finding.id} finding={finding} />)}</ul>}
      {goods.length > 0 && (
        <>
          <h3>{t("diagnostics.inOrder")}</h3>
          <ul class="goods">{goods.map((finding) => <GoodLine key={finding.id} finding={finding} />)}</ul>
        </>
      )}
    </div>
  );
}

/** No message and no key is in any of it. */
function reportOf(observation: Observation): string {
  const found = findings(observation).map(({ id, severity }) => `${severity}: ${id}`);
  const { at, ...rest } = observation;
  return JSON.stringify({ at: new Date(at).toISOString(), userAgent: navigator.userAgent, findings: found, ...rest }, null, 2);
}
