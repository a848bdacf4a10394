import { Logo } from "../../devtools/ui/Logo.tsx";
import { OrderForm } from "./OrderForm.tsx";
import { Orders } from "./Orders.tsx";
import type { OrderPad } from "./order-pad.ts";
import { ServerPanel } from "./ServerPanel.tsx";
import type { Server } from "./server.ts";
import type { Texts } from "./texts.ts";

export interface PadProps {
  pad: OrderPad;
  texts: Texts;
}

export function Page({ pad, server, texts }: PadProps & { server: Server }) {
  const { senders } = pad.progress.value;
  return (
    <>
      <header class="pad-header">
        <Logo />
        <div class="pad-name">
          <h1>{texts.title}</h1>
          <p class="quiet">{texts.line}</p>
        </div>
        <p class={`tag ${pad.isSender.value ? "good" : ""}`} role="status" data-sender={pad.isSender.value}>
          {senders.length === 0 ? texts.nobody : pad.isSender.value ? texts.sends : texts.looksOn}
        </p>
        <nav class="buttons">
          <a class="button small" href={`./order-pad.html${location.search}`} target="_blank" rel="opener">{texts.secondTab}</a>
          <a class="button small" href="./">{texts.back}</a>
        </nav>
      </header>
      <main class="pad-main">
        {pad.failure.value !== "" && <p class="outcome bad pad-failure" role="alert">{pad.failure.value}</p>}
        <div class="column">
          <OrderForm pad={pad} texts={texts} />
          <ServerPanel server={server} texts={texts} />
        </div>
        <Orders pad={pad} texts={texts} />
      </main>
    </>
  );
}
