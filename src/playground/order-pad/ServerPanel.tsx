import { Choice } from "../../devtools/ui/Field.tsx";
import { type Server, type Weather, WEATHERS } from "./server.ts";
import type { Texts } from "./texts.ts";

export function ServerPanel({ server, texts }: { server: Server; texts: Texts }) {
  return (
    <section class="panel stack" aria-labelledby="server">
      <div>
        <h2 id="server">{texts.server}</h2>
        <p class="hint">{texts.serverLine}</p>
      </div>
      <Choice
        name="weather" legend={texts.server} value={server.weather.value} options={WEATHERS.map((weather) => [weather, texts.weather[weather]] as const)}
        onChoose={(weather: Weather) => void server.setWeather(weather)}
      />
      <dl class="figures"><div><dt>{texts.has}</dt><dd data-figure="arrived">{server.count.value}</dd></div></dl>
      <div>
        <h3 class="pad-caption">{texts.log}</h3>
        {server.log.value.length === 0 ? <p class="quiet">{texts.logNone}</p> : (
          <ol class="pad-log">
            {server.log.value.map(({ id, status, customer, item, quantity }) => (
              <li key={id}>
                <span class={`tag ${status >= 200 && status < 300 ? "good" : status >= 400 && status < 500 ? "bad" : "warn"}`}>{status === 0 ? texts.noAnswer : status}</span>
                <span>{customer}: {item} × {quantity}</span>
              </li>
            ))}
          </ol>
        )}
      </div>
    </section>
  );
}
