import { useSignal } from "@preact/signals";
import type { Order } from "./database.ts";
import { EditOrder } from "./EditOrder.tsx";
import type { PadProps } from "./Page.tsx";
import type { Refusal } from "./order-pad.ts";

/** Every order and where it is; what the server has refused waits for somebody to decide. */
export function Orders({ pad, texts }: PadProps) {
  const edited = useSignal<{ order: Order; refusal: Refusal } | null>(null);
  const orders = pad.orders.value;
  const sent = orders.filter(({ number }) => number !== undefined).length;
  const { waiting } = pad.progress.value;
  return (
    <section class="panel" aria-labelledby="orders">
      <div class="panel-head">
        <h2 id="orders">{texts.orders}</h2>
        <dl class="figures pad-figures">
          <div><dt>{texts.waiting}</dt><dd data-figure="waiting">{waiting}</dd></div>
          <div><dt>{texts.sent}</dt><dd data-figure="sent">{sent}</dd></div>
          <div><dt>{texts.refused}</dt><dd data-figure="refused">{pad.refusals.value.size}</dd></div>
        </dl>
        <div class="tools"><button type="button" class="button small" disabled={pad.troubles.value.size === 0} onClick={() => pad.retryNow()}>{texts.retryNow}</button></div>
      </div>
      {orders.length === 0 ? <div class="empty"><strong>{texts.none}</strong><p class="quiet">{texts.noneHint}</p></div> : (
        <ul class="pad-orders">
          {orders.map((order) => <OrderRow key={order.id} order={order} pad={pad} texts={texts} onEdit={(refusal) => (edited.value = { order, refusal })} />)}
        </ul>
      )}
      {edited.value !== null && <EditOrder {...edited.value} pad={pad} texts={texts} onClose={() => (edited.value = null)} />}
    </section>
  );
}

function OrderRow({ order, pad, texts, onEdit }: PadProps & { order: Order; onEdit: (refusal: Refusal) => void }) {
  const refusal = order.number === undefined ? pad.refusals.value.get(order.id) : undefined;
  const trouble = order.number === undefined && refusal === undefined ? pad.troubles.value.get(order.id) : undefined;
  const state = order.number !== undefined ? "sent" : refusal !== undefined ? "refused" : trouble !== undefined ? "trying" : "waiting";
  const tone = { sent: "good", refused: "bad", trying: "warn", waiting: "" }[state];
  return (
    <li class="pad-order" data-order={order.id} data-state={state}>
      <div class="pad-what">
        <strong>{order.customer}</strong>
        <span>{order.item} × {order.quantity}</span>
        <span class="hint">{order.number === undefined ? "" : texts.number(order.number)}</span>
      </div>
      <span class={`tag ${tone}`}>{texts.state[state]}</span>
      {trouble !== undefined && <p class="hint pad-note">{texts.attempt(trouble.attempt, trouble.reason)}</p>}
      {refusal !== undefined && (
        <div class="pad-note stack">
          <p class="error">{refusal.reason}</p>
          <div class="buttons">
            <button type="button" class="button small primary" onClick={() => onEdit(refusal)}>{texts.edit}</button>
            <button type="button" class="button small danger" onClick={() => void pad.discard(order, refusal)}>{texts.discard}</button>
          </div>
        </div>
      )}
    </li>
  );
}
