import { useSignal } from "@preact/signals";
import { Field } from "../../devtools/ui/Field.tsx";
import type { PadProps } from "./Page.tsx";
import { MOST } from "./server.ts";

const CUSTOMERS = ["Ada", "Ben", "Chen", "Dora"];
const ITEMS = ["Tea", "Coffee", "Bread", "Apples"];

export function OrderForm({ pad, texts }: PadProps) {
  const customer = useSignal(CUSTOMERS[0]!);
  const item = useSignal(ITEMS[0]!);
  const quantity = useSignal(2);
  const take = (event: SubmitEvent): void => {
    event.preventDefault();
    void pad.take(customer.value, item.value.trim(), quantity.value);
  };
  const takeTen = async (): Promise<void> => {
    for (let at = 0; at < 10; at++) await pad.take(CUSTOMERS[at % CUSTOMERS.length]!, ITEMS[at % ITEMS.length]!, 1 + at);
  };
  return (
    <section class="panel" aria-labelledby="take">
      <h2 id="take" class="panel-head">{texts.take}</h2>
      <form class="stack" onSubmit={take}>
        <Field id="customer" label={texts.customer}>
          <select id="customer" value={customer.value} onChange={({ currentTarget }) => (customer.value = currentTarget.value)}>
            {CUSTOMERS.map((name) => <option key={name}>{name}</option>)}
          </select>
        </Field>
        <div class="pad-pair">
          <Field id="item" label={texts.item}>
            <input id="item" required maxLength={40} list="items" value={item.value} onInput={({ currentTarget }) => (item.value = currentTarget.value)} />
            <datalist id="items">{ITEMS.map((name) => <option key={name} value={name} />)}</datalist>
          </Field>
          <Field id="quantity" label={texts.quantity}>
            <input id="quantity" type="number" min={1} max={99} required value={quantity.value} onInput={({ currentTarget }) => (quantity.value = currentTarget.valueAsNumber)} />
          </Field>
        </div>
        <p class="hint">{texts.rule(MOST)}</p>
        <div class="buttons">
          <button type="submit" class="button primary" disabled={!pad.isOpen.value}>{texts.add}</button>
          <button type="button" class="button" disabled={!pad.isOpen.value} onClick={() => void takeTen()}>{texts.addTen}</button>
        </div>
      </form>
    </section>
  );
}
