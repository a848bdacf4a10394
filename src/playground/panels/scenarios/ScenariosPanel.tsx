import { useDevtools, useTranslate } from "../../../devtools/context.ts";
import { scenarios } from "../../../devtools/i18n/en/scenarios.ts";
import { pathTo } from "../../../devtools/router.ts";
import { useStyles } from "../../../devtools/styles.ts";
import { Empty } from "../../../devtools/ui/Answer.tsx";
import { Link } from "../../../devtools/ui/Link.tsx";
import { Panel } from "../../../devtools/ui/Panel.tsx";
import { Picture } from "./Picture.tsx";
import { ScenarioPage } from "./ScenarioPage.tsx";
import { SCENARIOS } from "./scenarios.ts";
import css from "./scenarios.css?inline";
import { textOf } from "./texts.ts";

export const texts = [scenarios];

/** `/scenarios`: all stories; `/scenarios/NAME`: one of them. */
export default function ScenariosPanel() {
  const { router } = useDevtools();
  const t = useTranslate();
  useStyles(css);
  const [name] = router.route.value.args;
  if (name === undefined) return <Gallery />;
  const entry = SCENARIOS.find((one) => one.name === name);
  if (entry !== undefined) return <ScenarioPage key={name} entry={entry} />;
  return (
    <Panel title={t("scenarios.nav")}>
      <Empty title={t("scenarios.unknown")}><Link to={pathTo("scenarios")}>{t("scenarios.all")}</Link></Empty>
    </Panel>
  );
}

function Gallery() {
  const t = useTranslate();
  return (
    <Panel title={t("scenarios.nav")}>
      <p class="quiet scenarios-intro">{t("scenarios.intro")}</p>
      <ul class="gallery">
        {SCENARIOS.map(({ name }) => (
          <li key={name}>
            <Link class="story-card" to={pathTo("scenarios", [name])}>
              <Picture of={name} />
              <strong>{t(textOf(name, "title"))}</strong>
              <span>{t(textOf(name, "line"))}</span>
            </Link>
          </li>
        ))}
      </ul>
      <p class="quiet scenarios-more"><a href="./order-pad.html">{t("scenarios.orderPad")}</a> {t("scenarios.orderPad.line")}</p>
    </Panel>
  );
}
