// Whether the agent is there for work, and what is suggested to whom; fetched where the queue suggests to agents.
import { now, post } from "./api.js";
import { fill, h } from "./dom.js";
import { explain, state } from "./state.js";
import { lang, t } from "./words.js";

const STATES = [
  ["available", "presence_available"],
  ["busy", "presence_busy"],
  ["away", "presence_away"],
  ["offline", "presence_offline"],
];

/** Show the switch as it stands; one that is being chosen from is left alone. */
export function showPresence(place, { state: stands, reason }) {
  place.hidden = false;
  const looks = `${lang} ${stands} ${reason}`;
  if (place.dataset.looks === looks) return;
  place.dataset.looks = looks;
  const options = STATES.map(([value, words]) => h("option", { value, selected: value === stands }, t(words)));
  const say = (event) => post("presence", { state: event.target.value }).then((said) => showPresence(place, said), explain);
  fill(
    place,
    h("label", {}, t("presence"), " ", h("select", { "data-keep": "presence", on: { change: say } }, options)),
    reason === "no_answer" ? h("span", { class: "badge hot" }, t("presence_no_answer")) : null,
  );
}

const rings = ({ suggested: to }) => Boolean(to?.agent_id) && Date.parse(to.until) > now();

/** Tell whether an offer is suggested to this agent now. */
export const ringsHere = (offer) => rings(offer) && offer.suggested.agent_id === state.agent.agent_id;

/** Say to whom an offer is suggested, and to this agent also why. */
export function suggested(offer) {
  if (!rings(offer)) return null;
  if (!ringsHere(offer)) return h("p", { class: "meta" }, t("suggested_to", { who: offer.suggested.agent_id }));
  const why = offer.suggested.reasons.map(({ say }) => say[lang] ?? say.en).join(lang === "zh" ? "；" : "; ");
  return h("p", { class: "suggested" }, h("span", { class: "badge now" }, t("suggested")), " ", t("because", { why }));
}
