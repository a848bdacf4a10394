interface SelectProps<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  /** The label is only read aloud. */
  onChoose: (value: Value) => void;
}

export function Select<Value extends string>({ label, value, options, onChoose }: SelectProps<Value>) {
  return (
    <select class="select" aria-label={label} title={label} value={value} onChange={(event) => onChoose(event.currentTarget.value as Value)}>
      {options.map(([option, text]) => <option key={option} value={option} selected={option === value}>{text}</option>)}
    </select>
  );
}
