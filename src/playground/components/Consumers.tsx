import { consumers, startFailure } from "../consumers.ts";
import { ConsumerCard } from "./ConsumerCard.tsx";
import { ConsumerForm } from "./ConsumerForm.tsx";

export function Consumers() {
  const list = consumers.value;
  return (
    <section class="panel" aria-labelledby="consumers-title">
      <h2 id="consumers-title">This tab's consumers</h2>
      {list.length === 0 && <p class="quiet">None. Messages go to other tabs of the group, or wait in their queues.</p>}
      <ul class="cards">
        {list.map((consumer) => <li key={consumer.id}><ConsumerCard consumer={consumer} /></li>)}
      </ul>
      <details class="adder" open={list.length === 0 || startFailure.value !== null}>
        <summary>Start {list.length === 0 ? "a" : "another"} consumer</summary>
        <ConsumerForm />
      </details>
    </section>
  );
}
