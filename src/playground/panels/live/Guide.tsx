import { useTranslate } from "../../../devtools/context.ts";

const STEPS = ["send", "see", "open"] as const;

/** What a newcomer sees where the messages will be. */
export function Guide() {
  const t = useTranslate();
  return (
    <ol class="guide">
      {STEPS.map((step) => (
        <li key={step}>
          <h3>{t(`live.guide.${step}`)}</h3>
          <p>{t(`live.guide.${step}.text`)}</p>
        </li>
      ))}
    </ol>
  );
}
