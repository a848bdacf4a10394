import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { checkGroup } from "../../../index.ts";
import { useTranslate } from "../../context.ts";
import { reasonOf } from "../../polled.ts";
import { describedBy, Field } from "../../ui/Field.tsx";
import { tabHue } from "../../ui/tab-hue.ts";
import { TabName } from "../../ui/TabName.tsx";
import { memberPlace } from "./flows.ts";
import { backlogOf } from "./live-view.ts";
import { defaultGroup } from "./names.ts";
import type { Surroundings } from "./surroundings.ts";
import { sum, type TopicView } from "./topic-view.ts";

/** More consumers than this are named, but not drawn. */
const MOST = 12;

interface GroupProps {
  topic: string;
  group: string;
  view: TopicView;
  around: Surroundings | undefined;
  /** Client ids. */
  members: readonly string[];
  join: ComponentChildren;
  onGroup: (group: string) => void;
}

/** The group through whose eyes the queues are seen, its consumers, and the topic's other groups. */
export function Group({ topic, group, view, around, members, join, onGroup }: GroupProps) {
  const t = useTranslate();
  const backlog = backlogOf(view);
  return (
    <div class="groups">
      <section class="box group-box" data-place="group" aria-labelledby="map-group">
        <div class="box-head">
          <h3 class="unseen" id="map-group">{t("map.group", { group })}</h3>
          <GroupField topic={topic} group={group} others={around?.others.map((one) => one.group) ?? []} onGroup={onGroup} />
          <dl class="figures">
            <div><dt>{t("map.backlog")}</dt><dd data-figure="total-backlog" class={backlog !== null && backlog > 0 ? "waiting" : ""}>{backlog === null ? "–" : t.number(backlog)}</dd></div>
            <div><dt>{t("map.consumed")}</dt><dd>{backlog === null ? "–" : <>{view.consumeTps < 10 ? view.consumeTps.toFixed(1) : t.number(Math.round(view.consumeTps))}<small>/s</small></>}</dd></div>
          </dl>
        </div>
        <ul class="nodes" aria-label={t("map.members")}>
          {members.slice(0, MOST).map((clientId) => <Member key={clientId} clientId={clientId} view={view} />)}
        </ul>
        {members.length > MOST && <p class="quiet more">{t("map.more", { count: members.length - MOST })}</p>}
        {members.length === 0 && <p class="slot quiet">{t("map.members.none")}</p>}
        {join}
      </section>
      {around !== undefined && around.others.length > 0 && (
        <section class="other-groups" aria-labelledby="map-others">
          <h3 id="map-others">{t("map.others")}</h3>
          <ul>
            {around.others.map((one) => (
              <li key={one.group}>
                <button type="button" class="other" title={one.group} onClick={() => onGroup(one.group)}>
                  <span class="other-name">{one.group}</span>
                  <span class={one.lag > 0 ? "waiting" : "quiet"}>{t("map.others.lag", { count: one.lag })}</span>
                </button>
              </li>
            ))}
          </ul>
          {around.more > 0 && <p class="quiet more">{t("map.more", { count: around.more })}</p>}
        </section>
      )}
    </div>
  );
}

function Member({ clientId, view }: { clientId: string; view: TopicView }) {
  const t = useTranslate();
  const own = view.lanes.filter(({ owner }) => owner === clientId);
  const inHand = sum(own, ({ inflight }) => inflight);
  return (
    <li class="node member" data-place={memberPlace(clientId)} data-member={clientId} style={{ "--tab-hue": tabHue(clientId) }}>
      <TabName clientId={clientId} />
      <small>
        {own.length === 0 ? t("map.member.idle") : queuesText(t, own.map(({ queueId }) => queueId))}
        {inHand > 0 && <> · {t("map.inHand", { count: inHand })}</>}
      </small>
    </li>
  );
}

/** "Queues 0, 1". */
export function queuesText(t: ReturnType<typeof useTranslate>, queues: readonly number[]): string {
  if (queues.length > 6) return t("map.queues.range", { count: queues.length, first: queues[0]!, last: queues.at(-1)! });
  return t("map.queues.list", { count: queues.length, list: queues.join(", ") });
}

function GroupField({ topic, group, others, onGroup }: { topic: string; group: string; others: readonly string[]; onGroup: (group: string) => void }) {
  const t = useTranslate();
  const error = useSignal<string | undefined>(undefined);
  const names = new Set([defaultGroup(topic), group, ...others]);
  const choose = (input: HTMLInputElement): void => {
    try {
      checkGroup(input.value);
      error.value = undefined;
      onGroup(input.value);
    } catch (reason) {
      error.value = reasonOf(reason);
    }
  };
  return (
    <Field id="lens" label={t("map.lens")} error={error.value}>
      <input
        id="lens" list="map-groups" autocomplete="off" autocapitalize="none" spellcheck={false} value={group} title={group}
        onChange={(event) => choose(event.currentTarget)} {...describedBy("lens", error.value)}
      />
      <datalist id="map-groups">{[...names].map((name) => <option key={name} value={name} />)}</datalist>
    </Field>
  );
}
