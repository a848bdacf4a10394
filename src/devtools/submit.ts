import { type ReadonlySignal, useSignal } from "@preact/signals";
import { MQError } from "../index.ts";
import type { Translate } from "./i18n/translate.ts";
import { reasonOf, sentence } from "./polled.ts";

/** What is wrong, by the name of the field; "" = with none of them. */
type Problems = Readonly<Record<string, string | undefined>>;

/** Thrown by a form's own checks. */
export class FieldProblem extends Error {
  readonly field: string;

  constructor(field: string, reason: string) {
    super(reason);
    this.field = field;
  }
}

export interface Submit {
  readonly isBusy: ReadonlySignal<boolean>;
  readonly problems: ReadonlySignal<Problems>;
  onSubmit(event: Event): void;
}

/** A form's deed. What the library refuses is shown at the field that it names, and the focus goes there. `fields`: their names, in the library's words. */
export function useSubmit(fields: readonly string[], act: (form: HTMLFormElement) => Promise<void>): Submit {
  const isBusy = useSignal(false);
  const problems = useSignal<Problems>({});
  const submit = async (form: HTMLFormElement): Promise<void> => {
    if (isBusy.value) return;
    isBusy.value = true;
    problems.value = {};
    try {
      await act(form);
    } catch (error) {
      const field = fieldOf(error, fields);
      problems.value = { [field]: field === "" ? reasonOf(error) : besideField(error) };
      if (field !== "") form.querySelector<HTMLElement>(`[name="${field}"]`)?.focus();
    }
    isBusy.value = false;
  };
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    void submit(event.currentTarget as HTMLFormElement);
  };
  return { isBusy, problems, onSubmit };
}

/** "createTopic.readQueueNums" and "message.properties.colour" name readQueueNums and properties. */
function fieldOf(error: unknown, fields: readonly string[]): string {
  const path = error instanceof MQError || error instanceof FieldProblem ? (error.field ?? "") : "";
  return path.split(/[.[]/).find((part) => fields.includes(part)) ?? "";
}

/** Why it was refused, as a sentence beside the field that it names: "CreateTopic.readQueueNums must be …" is "Must be …" there, and "ReadQueueNums of "orders" cannot …" is "Cannot …". */
export function besideField(error: unknown): string {
  return sentence(reasonOf(error).replace(/^[\w.[\]]+ (of "[^"]*" )?(?=must |cannot )/, ""));
}

/** What stands in a field. Read when it is needed: a text of megabytes is not copied at every key. */
export function valueOf(form: HTMLFormElement, name: string): string {
  const control = form.elements.namedItem(name);
  if (control instanceof RadioNodeList) return control.value;
  return control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement || control instanceof HTMLSelectElement ? control.value : "";
}

/** A number; whether it suits the library checks. */
export function numberOf(form: HTMLFormElement, name: string, t: Translate): number {
  const number = amountOf(valueOf(form, name));
  if (Number.isNaN(number)) throw new FieldProblem(name, t("common.noNumber"));
  return number;
}

/** What was typed as a number; NaN = it is none. */
export function amountOf(text: string): number {
  return text.trim() === "" ? Number.NaN : Number(text);
}
