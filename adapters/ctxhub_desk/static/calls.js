// Calls at this agent's phone: whoever is rung, asked for advice or given one sees it, whether or not it was offered.
import { get, now } from "./api.js";
import { summary } from "./brief.js";
import { h, show } from "./dom.js";
import { findHeld } from "./held.js";
import { more as w } from "./seldom_words.js";
import { notice, state } from "./state.js";
import { channelChip, channelName, lang, t, time } from "./words.js";

const LONGEST = 3 * 60_000; // that a call rings of which nothing more is told
const SELDOM = 60_000; // how often the hub is asked while none rings: each answer is a line in its audit trail

let heard = 0; // how often anything was told

/** Ask what is at the phone now, where that may be another than what is known; an answer that was overtaken is none. */
export async function ask(side) {
  const often = !side.toldAt || [...state.calls.values()].some((call) => call.state === "ringing" && goesOn(call));
  if (!often && (state.calls.size === 0 || Date.now() - side.toldAt < SELDOM)) return;
  const before = heard;
  const answer = await get("calls");
  if (heard === before) await hear(answer, side);
}

/** Note what was told of one call, or all `calls` that are at the phone now, and draw it in a side. */
export async function hear({ calls, ...told }, side) {
  heard += 1;
  if (calls) side.toldAt = Date.now();
  const news = calls ? replaced(calls) : [told];
  if (told.state !== "over") news.forEach(keep);
  else for (const [id, call] of [...state.calls]) if (call.customer_id === told.customer_id) state.calls.delete(id);
  side.drawn ??= drawing(side);
  // Whoever has answered holds it.
  if (news.some((call) => call.state === "talking" && call.role === "holder")) await findHeld().catch(notice);
  side.draw();
}

/** Drop what is at the phone no more, and return what is another than was known. */
function replaced(calls) {
  const ids = new Set(calls.map((call) => call.interaction_id));
  for (const id of [...state.calls.keys()]) if (!ids.has(id)) state.calls.delete(id);
  return calls.filter((call) => {
    const before = state.calls.get(call.interaction_id);
    return before?.state !== call.state || before.role !== call.role || before.customer_id !== call.customer_id;
  });
}

/** A call that comes to ring is said aloud, once. */
function keep(call) {
  const id = call.interaction_id;
  if (call.state === "ringing" && !state.calls.has(id)) {
    document.querySelector("#announced").textContent = w("call_came", { channel: channelName(call.channel) });
  }
  state.calls.set(id, call);
}

const goesOn = (call) => call.state === "talking" || now() - Date.parse(call.at) < LONGEST;

/** Return what draws a card for each call that is neither on offer here nor held. */
function drawing(side) {
  const list = h("ul", { class: "offers", "aria-labelledby": "calls-title" });
  const briefs = new Map(); // interaction_id and language -> who calls, told in one line
  const section = h("section", {}, h("h2", { id: "calls-title" }, w("calls")), list);
  side.element.prepend(section);
  return () => {
    const cards = [...state.offers, ...[...state.held.values()].map(({ card }) => card)];
    const shown = new Set(cards.map(({ interaction_id }) => interaction_id));
    const mine = [...state.calls.values()].filter((call) => !shown.has(call.interaction_id) && goesOn(call));
    mine.forEach((call) => tell(call, briefs, side));
    section.hidden = mine.length === 0;
    show(
      list,
      mine.map((call) => ({ ...call, told: briefs.get(call.interaction_id + lang) })),
      (call) => call.interaction_id,
      (call) => card(call, side.look),
      lang,
    );
  };
}

/** Tell who calls in one line, once: what was asked for counts as told until it is. */
async function tell(call, briefs, side) {
  const name = call.interaction_id + lang;
  if (briefs.has(name)) return;
  briefs.set(name, "");
  briefs.set(name, await summary(call));
  if (briefs.get(name)) side.draw();
}

function card(call, look) {
  const id = call.interaction_id;
  const open = { type: "button", class: "main", "data-act": "look", "data-keep": `look:${id}` };
  return h(
    "li",
    { class: "offer card fresh", "data-call": id },
    h("p", { class: "head" }, channelChip(call.channel), h("strong", {}, call.customer_id), badges(call)),
    call.told ? h("p", { class: "told" }, call.told) : null,
    h("p", { class: "meta" }, time(call.at, "since", w(call.state === "ringing" ? "rings_for" : "talks_for"))),
    h("p", { class: "acts" }, h("button", { ...open, on: { click: () => look(call.customer_id) } }, t("look"))),
  );
}

function badges(call) {
  return [
    h("span", { class: "badge hot" }, call.state === "ringing" ? t("rings") : w("on_the_line")),
    call.role === "consulted" ? h("span", { class: "badge" }, w("asked_you")) : null,
  ];
}
