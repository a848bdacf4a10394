import { type ReadonlySignal, useSignal } from "@preact/signals";
import { MQError } from "../index.ts";
import { reasonOf } from "./polled.ts";

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
      problems.value = { [field]: reasonOf(error) };
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

/** What stands in a field. Read when it is needed: a text of megabytes is not copied at every key. */
export function valueOf(form: HTMLFormElement, name: string): string {
  const control = form.elements.namedItem(name);
  if (control instanceof RadioNodeList) return control.value;
  return control instanceof HTMLInputElement || control instanceof HTMLTextAreaElement || control instanceof HTMLSelectElement ? control.value : "";
}

/** A whole number, as the library's checks want it; NaN for anything else, which they refuse by name. */
export function numberOf(form: HTMLFormElement, name: string): number {
  const text = valueOf(form, name).trim();
  return text === "" ? Number.NaN : Number(text);
}
