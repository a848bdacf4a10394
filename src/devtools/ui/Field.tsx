import type { ComponentChildren, InputHTMLAttributes, TextareaHTMLAttributes } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

interface FieldProps {
  id: string;
  label: string;
  /** Small print beside the label. */
  aside?: ComponentChildren;
  hint?: ComponentChildren;
  error?: string | undefined;
  children: ComponentChildren;
}

/** A control with its label, hint and error. The control itself takes `describedBy(id, …)` so that all of it is read aloud. */
export function Field({ id, label, aside, hint, error, children }: FieldProps) {
  return (
    <div class={error === undefined ? "field" : "field wrong"}>
      <div class="field-head">
        <label for={id}>{label}</label>
        {aside}
      </div>
      {children}
      {hint !== undefined && <p class="hint" id={`${id}-hint`}>{hint}</p>}
      <p class="error" id={`${id}-error`} role="alert">{error}</p>
    </div>
  );
}

export function describedBy(id: string, error: string | undefined, hasHint = false) {
  const parts = [...(hasHint ? [`${id}-hint`] : []), ...(error === undefined ? [] : [`${id}-error`])];
  return { "aria-invalid": error !== undefined, ...(parts.length > 0 ? { "aria-describedby": parts.join(" ") } : {}) };
}

interface TextFieldProps extends Omit<FieldProps, "children">, Pick<InputHTMLAttributes<HTMLInputElement>, "value" | "onInput"> {
  /** The field, in the library's words. */
  name: string;
  /** What stands aside has the id of a hint, and is read as one. */
  isHintAside?: boolean;
}

/** One line of text: a name, a tag, keys. No prose, so nothing is corrected or completed. */
export function TextField({ id, name, label, aside, hint, error, isHintAside = false, ...input }: TextFieldProps) {
  return (
    <Field id={id} label={label} aside={aside} hint={hint} error={error}>
      <input id={id} name={name} autocomplete="off" autocapitalize="none" spellcheck={false} {...input} {...describedBy(id, error, hint !== undefined || isHintAside)} />
    </Field>
  );
}

export type WrittenKind = "json" | "text";

interface BodyFieldProps extends Omit<FieldProps, "aside" | "children">, Pick<TextareaHTMLAttributes<HTMLTextAreaElement>, "rows" | "value" | "defaultValue" | "onInput"> {
  kind: WrittenKind;
  /** What is chosen between, read aloud, and what the choice that is no JSON is called. */
  legend: string;
  text: string;
  onKind: (kind: WrittenKind) => void;
}

/** The body of a message that somebody writes, as JSON or as text. */
export function BodyField({ id, label, hint, error, kind, legend, text, onKind, ...textarea }: BodyFieldProps) {
  return (
    <Field id={id} label={label} hint={hint} error={error} aside={<Choice name="kind" legend={legend} value={kind} options={[["json", "JSON"], ["text", text]] as const} onChoose={onKind} />}>
      <textarea id={id} name="body" spellcheck={false} {...textarea} {...describedBy(id, error, hint !== undefined)} />
    </Field>
  );
}

interface ChoiceProps<Value extends string | number> {
  name: string;
  legend: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChoose: (value: Value) => void;
}

/** A few radio buttons in a row: one tab stop, arrow keys choose. */
export function Choice<Value extends string | number>({ name, legend, value, options, onChoose }: ChoiceProps<Value>) {
  const set = useRef<HTMLFieldSetElement>(null);
  useLayoutEffect(() => {
    const { current } = set;
    // Chromium keeps what was removed from a shadow root in its group of radio buttons, and with it the whole panel.
    return () => current!.querySelectorAll("input").forEach((radio) => (radio.name = ""));
  }, []);
  return (
    <fieldset class="choice" ref={set}>
      <legend class="unseen">{legend}</legend>
      {options.map(([option, text]) => (
        <label key={option}>
          <input type="radio" name={name} value={option} checked={option === value} onChange={() => onChoose(option)} />
          <span>{text}</span>
        </label>
      ))}
    </fieldset>
  );
}
