import { useTranslate } from "../../context.ts";
import type { Translate, Values } from "../../i18n/translate.ts";
import { Link } from "../../ui/Link.tsx";
import type { BadId, Figure, Finding, GoodId, Severity } from "./findings.ts";

/** Groups that are named one by one. */
const MOST_SUBJECTS = 8;

/** One finding: what is wrong, why it matters, what to do, and where. */
export function FindingCard({ finding }: { finding: Finding }) {
  const t = useTranslate();
  const { severity, subjects, to } = finding;
  const id = finding.id as BadId;
  const values = written(finding.figures, t);
  return (
    <li class={`finding ${severity}`} data-finding={id} data-severity={severity}>
      <SeverityTag severity={severity} />
      <div class="finding-text">
        <h3>{t(`diagnostics.${id}.title`, values)}</h3>
        <p>{t(`diagnostics.${id}.why`, values)}</p>
        {subjects.length > 0 && (
          <ul class="subjects">
            {subjects.slice(0, MOST_SUBJECTS).map(({ name, note, to: place }) => (
              <li key={name}>
                {place === undefined ? <code>{name}</code> : <Link to={place} title={name}>{name}</Link>}
                {note !== undefined && <span class="quiet">{t(note.key, written(note.figures, t))}</span>}
              </li>
            ))}
            {subjects.length > MOST_SUBJECTS && <li class="quiet">{t("diagnostics.moreSubjects", { count: subjects.length - MOST_SUBJECTS })}</li>}
          </ul>
        )}
        <p class="mend"><strong>{t("diagnostics.mend")}</strong> {t(`diagnostics.${id}.mend`, values)}</p>
        {to !== undefined && <p><Link to={to}>{t("diagnostics.open", { panel: t(placeOf(to)) })}</Link></p>}
      </div>
    </li>
  );
}

/** What is in order, in one line. */
export function GoodLine({ finding: { id, figures } }: { finding: Finding }) {
  const t = useTranslate();
  const values = written(figures, t);
  return (
    <li data-finding={id} data-severity="good">
      <Sign severity="good" />
      <span><strong>{t(`diagnostics.${id as GoodId}.title`, values)}</strong> <span class="quiet">{t(`diagnostics.${id as GoodId}.why`, values)}</span></span>
    </li>
  );
}

export function SeverityTag({ severity }: { severity: Severity }) {
  const t = useTranslate();
  return <span class={`severity ${severity}`}><Sign severity={severity} />{t(`diagnostics.severity.${severity}`)}</span>;
}

/** A shape for each severity, because a colour alone says nothing to many. */
const SHAPES: Record<Severity, string> = {
  error: "M5.2 1h5.6L15 5.2v5.6L10.8 15H5.2L1 10.8V5.2ZM8 4v5m0 2.2v.8",
  warning: "M8 1.5 15 14H1ZM8 6v4m0 1.6v.6",
  note: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 6v5m0-8v.8",
  good: "M2 8.5 6 12.5 14 4",
};

function Sign({ severity }: { severity: Severity }) {
  return <svg class={`sign ${severity}`} viewBox="0 0 16 16" aria-hidden="true"><path d={SHAPES[severity]} /></svg>;
}

function placeOf(path: string): "broker.nav" | "groups.nav" | "deadLetters.nav" | "timers.nav" | "transactions.nav" {
  if (path.startsWith("/groups")) return "groups.nav";
  if (path.startsWith("/dead-letters")) return "deadLetters.nav";
  if (path.startsWith("/timers")) return "timers.nav";
  return path.startsWith("/transactions") ? "transactions.nav" : "broker.nav";
}

function written(figures: Readonly<Record<string, Figure>>, t: Translate): Values {
  return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, writtenOne(figure, t)]));
}

function writtenOne(figure: Figure, t: Translate): string | number {
  if (typeof figure !== "object") return figure;
  if ("bytes" in figure) return t.bytes(figure.bytes);
  return "ms" in figure ? t.duration(figure.ms) : `${Number((figure.share * 100).toPrecision(2))} %`;
}
