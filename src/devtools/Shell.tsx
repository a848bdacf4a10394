import { useComputed, useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useErrorBoundary, useRef } from "preact/hooks";
import { useDevtools, useTranslate } from "./context.ts";
import { type Language, LANGUAGES } from "./i18n/translate.ts";
import type { PanelDefinition } from "./panel.ts";
import { THEMES, type Theme } from "./settings.ts";
import { ConnectionStatus } from "./ConnectionStatus.tsx";
import { Menu } from "./Menu.tsx";
import { Link } from "./ui/Link.tsx";
import { Logo } from "./ui/Logo.tsx";
import { Select } from "./ui/Select.tsx";

/** The frame: who is connected to what, the menu, and the panel that was chosen. */
export function Shell({ panels }: { panels: readonly PanelDefinition[] }) {
  const { session, router, settings } = useDevtools();
  const t = useTranslate();
  const id = useComputed(() => router.route.value.panel || panels[0]!.id);
  const panel = panels.find((one) => one.id === id.value);
  return (
    <>
      <a class="skip" href="#panel" onClick={skip}>{t("shell.skip")}</a>
      <header class="header">
        <Link class="brand" to="/"><Logo /><strong>{t("shell.title")}</strong></Link>
        <ConnectionStatus />
        <div class="header-tools">
          <Select
            label={t("shell.language")} value={settings.language.value} options={LANGUAGES}
            onChoose={(language: Language) => void settings.chooseLanguage(language)}
          />
          <Select
            label={t("shell.theme")} value={settings.theme.value} options={THEMES.map((theme) => [theme, t(`shell.theme.${theme}`)] as const)}
            onChoose={(theme: Theme) => settings.chooseTheme(theme)}
          />
        </div>
      </header>
      <Menu panels={panels} current={id.value} />
      <main class="stage" id="panel" tabIndex={-1}>
        {session.isSlow.value && <p class="outcome warn" role="status">{t(session.phase.value === "connecting" ? "connection.slow" : "connection.slow.again", { namespace: session.namespace })}</p>}
        {session.phase.value === "failed" ? <Unreachable /> : panel === undefined ? <p class="quiet">{t("shell.unknown")}</p> : <Stage key={panel.id} panel={panel} />}
      </main>
    </>
  );
}

/** The anchor is inside a shadow root, where an address cannot point. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  const root = (event.currentTarget as HTMLElement).getRootNode() as ShadowRoot;
  root.querySelector<HTMLElement>("#panel")?.focus();
}

function Unreachable() {
  const { session } = useDevtools();
  const t = useTranslate();
  return (
    <section class="panel unreachable">
      <h2>{t(session.isOver.value ? "broker.over" : "shell.unreachable")}</h2>
      <p role="alert">{session.failure.value}</p>
      {session.isTrying.value && <p class="quiet" role="status">{t("shell.trying")}</p>}
      {session.isOver.value && <p class="quiet">{t(session.canReopen ? "broker.over.again" : "broker.over.given")}</p>}
      {(session.canReopen || !session.isOver.value) && <button type="button" class="button primary" onClick={() => void session.open()}>{t(session.isOver.value ? "broker.over.connect" : "shell.retry")}</button>}
    </section>
  );
}

/** Loads a panel's code; a panel that fails takes no other with it. */
function Stage({ panel }: { panel: PanelDefinition }) {
  const { settings, restart } = useDevtools();
  const t = useTranslate();
  const content = useSignal<ComponentType | null>(null);
  const [failure, again] = useErrorBoundary();
  const trouble = useSignal("");
  const isGone = useRef(false);
  useEffect(() => {
    isGone.current = false;
    panel.load().then(
      ({ default: component, texts }) => {
        settings.learn(texts);
        // A component is a function: a signal takes it as it is.
        if (!isGone.current) content.value = component;
      },
      (error: unknown) => (trouble.value = String(error)),
    );
    return () => (isGone.current = true);
  }, []);
  const problem = failure === undefined ? trouble.value : String(failure);
  if (problem !== "") {
    return (
      <section class="panel unreachable">
        <h2>{t("shell.broken")}</h2>
        <p role="alert">{problem}</p>
        <button type="button" class="button" onClick={() => (failure === undefined ? restart() : again())}>{t("shell.broken.reload")}</button>
      </section>
    );
  }
  const Content = content.value;
  return Content === null ? <p class="quiet" role="status">{t("shell.loading")}</p> : <Content />;
}
