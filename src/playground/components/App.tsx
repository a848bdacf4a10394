import { announcement, failure, phase } from "../state.ts";
import { Compose } from "./Compose.tsx";
import { Consumers } from "./Consumers.tsx";
import { Diagnostics } from "./Diagnostics.tsx";
import { Feed } from "./Feed.tsx";
import { Header } from "./Header.tsx";
import { Inspector } from "./Inspector.tsx";
import { Footer, Shortcuts } from "./Shortcuts.tsx";
import { TopicView } from "./TopicView.tsx";

export function App() {
  return (
    <>
      <a class="skip" href="#topic-view">Skip to the queues</a>
      <Header />
      {phase.value === "failed" ? (
        <main class="unreachable">
          <h2>This page cannot reach a broker</h2>
          <p role="alert">{failure.value}</p>
          <button type="button" class="button primary" onClick={() => globalThis.location.reload()}>Try again</button>
        </main>
      ) : (
        <main class="columns">
          <div class="column">
            <Compose />
            <Consumers />
          </div>
          <div class="column">
            <TopicView />
            <Feed />
            <Diagnostics />
          </div>
        </main>
      )}
      <Footer />
      <Inspector />
      <Shortcuts />
      <p class="unseen" aria-live="polite">{announcement.value}</p>
    </>
  );
}
