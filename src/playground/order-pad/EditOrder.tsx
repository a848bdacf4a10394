import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Field } from "../../devtools/ui/Field.tsx";
import type { Order } from "./database.ts";
import type { PadProps } from "./Page.tsx";
import type { Refusal } from "./order-pad.ts";

interface EditProps extends PadProps {
  order: Order;
  refusal: Refusal;
  onClose: () => void;
}

/** The order as it should have been. */
export function EditOrder({ order, refusal, pad, texts, onClose }: EditProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const item = useSignal(order.item);
  const quantity = useSignal(order.quantity);
  useLayoutEffect(() => dialog.current!.showModal(), []);
  const send = (event: SubmitEvent): void => {
    event.preventDefault();
    void pad.resend({ ...order, item: item.value.trim(), quantity: quantity.value }, refusal);
    dialog.current!.close();
  };
  return (
    <dialog ref={dialog} aria-labelledby="edit" onClose={onClose} class="pad-dialog">
      <form class="dialog stack" onSubmit={send}>
        <h2 id="edit">{texts.editTitle}</h2>
        <p class="outcome bad">{refusal.reason}</p>
        <p><strong>{order.customer}</strong></p>
        <div class="pad-pair">
          <Field id="edit-item" label={texts.item}><input id="edit-item" required maxLength={40} value={item.value} onInput={({ currentTarget }) => (item.value = currentTarget.value)} /></Field>
          <Field id="edit-quantity" label={texts.quantity}><input id="edit-quantity" type="number" min={1} max={99} required value={quantity.value} onInput={({ currentTarget }) => (quantity.value = currentTarget.valueAsNumber)} /></Field>
        </div>
        <div class="buttons">
          <button type="submit" class="button primary">{texts.send}</button>
          <button type="button" class="button" onClick={() => dialog.current!.close()}>{texts.cancel}</button>
        </div>
      </form>
    </dialog>
  );
}
