// Calls at this agent's phone: whoever is rung, asked for advice or given one sees it, whether or not it was offered.
import { now } from "./api.js";
import { h, show } from "./dom.js";
import { findHeld } from "./held.js";
import { more as w } from "./seldom_words.js";
import { notice, state } from "./state.js";
import { channelChip, lang, t, time } from "./words.js";

const LONGEST = 3 * 60_000; // that a call rings of which nothing more is told

/** Note what was told of a call, and draw it in a side; whoever has answered holds it. */
export async function hear(told, side) {
  if (told.state !== "over") state.calls.set(told.interaction_id, told);
  else for (const [id, call] of [...state.calls]) if (call.customer_id === told.customer_id) state.calls.delete(id);
  side.drawn ??= drawing(side);
  if (told.state === "talking" && told.role === "holder") await findHeld().catch(notice);
  side.draw();
}

/** Return what draws a card for each call that is neither on offer here nor held. */
function drawing(side) {
  const list = h("ul", { class: "offers", "aria-labelledby": "calls-title" });
  const section = h("section", {}, h("h2", { id: "calls-title" }, w("calls")), list);
  side.element.prepend(section);
  return () => {
    const cards = [...state.offers, ...[...state.held.values()].map(({ card }) => card)];
    const shown = new Set(cards.map(({ interaction_id }) => interaction_id));
    const goesOn = (call) => call.state === "talking" || now() - Date.parse(call.at) < LONGEST;
    const mine = [...state.calls.values()].filter((call) => !shown.has(call.interaction_id) && goesOn(call));
    section.hidden = mine.length === 0;
    show(
      list,
      mine,
      (call) => call.interaction_id,
      (call) => card(call, side.look),
      lang,
    );
  };
}

function card(call, look) {
  const id = call.interaction_id;
  const open = { type: "button", class: "main", "data-act": "look", "data-keep": `look:${id}` };
  return h(
    "li",
    { class: "offer card fresh", "data-call": id },
    h("p", { class: "head" }, channelChip(call.channel), h("strong", {}, call.customer_id), badges(call)),
    h("p", { class: "meta" }, time(call.at)),
    h("p", { class: "acts" }, h("button", { ...open, on: { click: () => look(call.customer_id) } }, t("look"))),
  );
}

function badges(call) {
  return [
    h("span", { class: "badge hot" }, call.state === "ringing" ? t("rings") : w("on_the_line")),
    call.role === "consulted" ? h("span", { class: "badge" }, w("asked_you")) : null,
  ];
}
