import { useDevtools } from "../../context.ts";
import { broker } from "../../i18n/en/broker.ts";
import { usePolled } from "../../polled.ts";
import { useStyles } from "../../styles.ts";
import { Answer } from "../../ui/Answer.tsx";
import { BrokerSettingsPanel } from "./BrokerSettingsPanel.tsx";
import { Destroy } from "./Destroy.tsx";
import { ExportLog } from "./ExportLog.tsx";
import { ImportLog } from "./ImportLog.tsx";
import { Overview } from "./Overview.tsx";
import { Recovery } from "./Recovery.tsx";
import { Storage } from "./Storage.tsx";
import css from "./broker.css?inline";

export const texts = [broker];

const ASK_EVERY = 1500;

/** The broker of the namespace: what it is, what it holds, how it is set, and its whole log out, in, or gone. */
export default function BrokerPanel() {
  useStyles(css);
  const { session } = useDevtools();
  const state = usePolled(async () => {
    const [stats, report] = await Promise.all([session.mq.admin.brokerStats(), session.mq.diagnostics()]);
    return { stats, report };
  }, ASK_EVERY);
  return (
    <div class="broker">
      <Answer of={state}>
        {({ stats, report }) => (
          <>
            <Overview stats={stats} report={report} />
            <div class="halves">
              <Storage stats={stats} report={report} onChange={state.refresh} />
              <Recovery report={report} />
            </div>
            <BrokerSettingsPanel report={report} onChange={state.refresh} />
            <div class="halves">
              <ExportLog stats={stats} />
              <ImportLog stats={stats} onChange={state.refresh} />
            </div>
            <Destroy stats={stats} />
          </>
        )}
      </Answer>
    </div>
  );
}
