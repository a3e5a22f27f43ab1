// The strip on top: who the customer is and how surely, how they came, who has the floor, what is promised.
import { h } from "./dom.js";
import { channelChip, channelName, clock, hasWords, t } from "./words.js";

/** Draw the strip's content. */
export function identity({ customer, handoff, interaction, path, intent, commitments }) {
  const details = [
    [t("reason"), handoff.reason],
    [t("note_along"), handoff.note],
    [t("intent"), intent],
  ];
  const chips = path.map((channel, place) => [place ? " → " : null, channelChip(channel)]);
  return [
    h(
      "div",
      { class: "who" },
      h("h1", { id: "who", tabindex: -1, "data-keep": "who" }, customer.customer_id),
      badges(customer),
    ),
    h(
      "p",
      { class: "facts-of-identity" },
      assurance(customer.assurance),
      path.length ? h("span", { class: "path" }, chips) : null,
      h("span", {}, t("arrived", { time: clock(handoff.offered_at) })),
      floor(handoff, interaction),
    ),
    warning(interaction?.risks ?? []),
    handoff.mine ? null : h("p", { class: "alert", role: "alert" }, notMine(handoff)),
    h(
      "dl",
      {},
      details.filter(([, words]) => words).map(([name, words]) => h("div", {}, h("dt", {}, name), h("dd", {}, words))),
    ),
    ...commitments.map(promise),
  ];
}

/** Tell whether a warning of fraud holds something back; a low one only warns. */
export const isSuspect = (interaction) => Boolean(interaction?.risks.some(({ level }) => level !== "low"));

/** The warning of fraud, in words for the agent alone: the caller must notice nothing. */
function warning(risks) {
  if (risks.length === 0) return null;
  const grave = risks.some(({ level }) => level !== "low");
  const kinds = risks.map(({ kind }) => (hasWords(`risk_${kind}`) ? t(`risk_${kind}`) : kind));
  return h(
    "p",
    { class: `fraud${grave ? " grave" : ""}`, "data-risk": risks.map(({ kind }) => kind).join(" ") },
    h("strong", { class: "badge" }, t(grave ? "fraud" : "take_care")),
    " ",
    t(grave ? "fraud_deeds" : "care_deeds"),
    " ",
    h("span", { class: "kinds" }, t("warned_of", { kinds: kinds.join(", ") })),
  );
}

export function badges({ known, identifiers }) {
  const strengths = identifiers.map(({ type, value, strength }) => `${type} ${value} · ${t(`strength_${strength}`)}`);
  return [known ? t("known") : t("unknown"), ...strengths].map((words) => h("span", { class: "badge" }, words));
}

function assurance({ level, method, channel, until }) {
  const words = [
    t("assurance", { level, words: t(`level_${level}`) }),
    method && t("by_method", { method }),
    channel && t("via", { channel: channelName(channel) }),
    until && t("holds_until", { time: clock(until) }),
  ];
  return h("span", { class: `assurance level-${level}`, "data-level": level }, words.filter(Boolean).join(" · "));
}

function floor(handoff, interaction) {
  if (interaction?.state === "ended") return h("span", { class: "floor" }, t("floor_none"));
  if (handoff.mine) return h("span", { class: "floor mine" }, t("floor_mine"));
  if (!interaction) return null;
  const { party, id } = interaction.holder;
  const words = party === "agent" ? t("floor_agent", { who: id ?? t("party_agent") }) : t("floor_bot");
  return h("span", { class: "floor" }, words);
}

function notMine(handoff) {
  if (handoff.state === "offered") return t("offered_not_held");
  const who = handoff.state === "accepted" && handoff.agent_id ? ` ${t("held_by", { who: handoff.agent_id })}` : "";
  return t("held_no_more", { state: t(`state_${handoff.state}`) }) + who;
}

export function promise({ what, owner, due_at, state }) {
  const mark = state === "open" ? null : h("span", { class: "badge hot" }, t(`promise_${state}`));
  const words = t("promised", { what, owner, due: clock(due_at) });
  return h("p", { class: `promise ${state}`, "data-promise": state }, words, " ", mark);
}
