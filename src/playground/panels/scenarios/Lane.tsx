import { useTranslate } from "../../../devtools/context.ts";
import type { MessageExt } from "../../../index.ts";
import { TabName } from "../../../devtools/ui/TabName.tsx";
import { tabHue } from "../../../devtools/ui/tab-hue.ts";
import { type GroupView, type QueueView, SHOWN } from "./snapshot.ts";

interface LaneProps {
  queue: QueueView;
  /** Those that consume this topic. */
  groups: readonly GroupView[];
}

/** One queue: its messages, or how many there are, and how far each group has come. */
export function Lane({ queue, groups }: LaneProps) {
  const t = useTranslate();
  const { queueId, minOffset, maxOffset, messages } = queue;
  const progress = groups.flatMap(({ group, queues }) => {
    const row = queues.find((one) => one.topic === queue.topic && one.queueId === queueId);
    return row === undefined ? [] : [{ group, row }];
  });
  const isMany = maxOffset - minOffset > SHOWN;
  // What a group has left behind is done, when no other still waits for it.
  const done = progress.length === 0 ? minOffset : Math.min(...progress.map(({ row }) => row.consumerOffset));
  return (
    <li class="lane" data-queue={queueId} data-max={maxOffset}>
      <span class="quiet number" title={t("scenarios.queue", { queue: queueId })}>{queueId}</span>
      <div class="lane-track">
        {isMany
          ? <Bar done={Math.max(0, done - minOffset)} all={maxOffset - minOffset} />
          : messages.map((message) => <Cell key={message.queueOffset} message={message} isDone={message.queueOffset < done} />)}
      </div>
      <div class="lane-owners">
        {progress.map(({ group, row }) => (
          <span key={group} class="lane-owner" title={t("scenarios.progress", { group, offset: row.consumerOffset, end: row.brokerOffset })}>
            {row.clientId === undefined ? <span class="quiet">{group}</span> : <TabName clientId={row.clientId} always />}
            <span class="number">{t.number(row.diff)}</span>
          </span>
        ))}
      </div>
    </li>
  );
}

/** Its colour is that of its message group, or else of its tag, so that one sees what belongs together. */
function Cell({ message, isDone }: { message: MessageExt; isDone: boolean }) {
  const colour = message.messageGroup ?? message.tags ?? message.topic;
  const label = message.keys[0] ?? String(message.queueOffset);
  return <span class={isDone ? "cell done" : "cell"} style={{ "--tab-hue": tabHue(colour) }} title={`@${message.queueOffset} ${[message.tags, ...message.keys, message.text()].join(" ").slice(0, 200)}`}>{label.slice(0, 8)}</span>;
}

function Bar({ done, all }: { done: number; all: number }) {
  const t = useTranslate();
  return (
    <span class="lane-bar" role="img" aria-label={t("scenarios.bar", { done, count: all })}>
      <span class="lane-done" style={{ width: `${(100 * done) / all}%` }} />
      <span class="lane-count number" aria-hidden="true">{t.number(done)} / {t.number(all)}</span>
    </span>
  );
}
