// What exactly one does, and once: calling a customer back, and steps that must not be done twice.
import { newId, post } from "./api.js";
import { fill, h } from "./dom.js";
import { more as w } from "./seldom_words.js";
import { allowWrites, explain, notify, state } from "./state.js";
import { clock, time } from "./words.js";

const OUTCOMES = ["answered", "no_answer", "busy", "failed", "refused"];
const deed = (text, act, click, kind = null) =>
  h("button", { type: "button", class: kind, "data-writes": "held", "data-act": act, "data-keep": act, on: { click } }, text);

/** What a card says of a callback: which attempt it is, until when, and what came of those before. */
export function card({ callback }) {
  return h("p", { class: "meta" }, attempt(callback), " · ", time(callback.until, "clock", w("until")), before(callback));
}

/** The words on the card's button. */
export const call = () => w("call");

const attempt = ({ attempt: n, of }) => h("span", { class: "badge" }, w("attempt", { n, of }));
const before = ({ made }) => made.map(({ at, outcome }) => [" · ", w(outcome), " ", time(at)]);

/** Draw what is to be done once in a work view; nothing where there is nothing of it. */
export function draw(space, place) {
  const { handoff, journeys } = space.work;
  const calls = handoff.mine && handoff.callback ? [calling(space, place, handoff.callback)] : [];
  const steps = journeys.filter(({ once, claim }) => once || claim).map((journey) => step(space, journey));
  place.hidden = calls.length + steps.length === 0;
  fill(place, ...calls, ...steps);
  allowWrites();
}

/** Take the attempt that is due, and show its number. */
export async function dial(space, place) {
  try {
    place.dialled = await post(`${space.handoffPath}/dial`, { attempt: space.work.handoff.callback.attempt });
    await space.refresh(place.dialled.version);
    draw(space, place);
    place.querySelector(".number")?.focus();
  } catch (problem) {
    explain(problem);
    space.refresh();
  }
}

function calling(space, place, callback) {
  const dialled = place.dialled?.attempt === callback.attempt ? place.dialled : null;
  return h(
    "div",
    { class: "calling" },
    h("h2", {}, w("call_back"), " ", attempt(callback)),
    h("p", { class: "meta" }, time(callback.until, "clock", w("until")), before(callback)),
    dialled
      ? [
          h("p", {}, w("dial_now"), " ", h("a", { class: "number", "data-keep": "number", href: `tel:${dialled.number}` }, dialled.number)),
          h(
            "div",
            { class: "acts", role: "group", "aria-label": w("what_came") },
            OUTCOMES.map((outcome) => deed(w(outcome), outcome, () => tell(space, place, outcome), outcome === "answered" ? "main" : null)),
          ),
        ]
      : h("p", { class: "acts" }, deed(w(callback.phase === "dialling" ? "number_again" : "call"), "dial", () => dial(space, place), "main")),
  );
}

/** Say what came of the attempt; with that the agent holds it no more. */
async function tell(space, place, outcome) {
  try {
    await post(`${space.handoffPath}/attempts`, { attempt: place.dialled.attempt, outcome });
    space.end(w(`then_${outcome}`));
  } catch (problem) {
    explain(problem);
    space.refresh();
  }
}

function step(space, { journey_id, kind, label, once, claim }) {
  const path = `${space.customerPath}/journeys/${encodeURIComponent(journey_id)}`;
  const about = () => ({ interaction_id: space.work.handoff.interaction_id });
  const take = () => act(space, post(`${path}/claim`, { ...about(), step: once.step }));
  const eventId = newId();
  const done = () =>
    act(space, post(`${path}/done`, { ...about(), kind, step: claim.step, fence: claim.fence, event_id: eventId }), w("is_done"));
  const named = { step: claim?.label ?? once.label, who: claim?.by, until: claim && clock(claim.until) };
  const mine = claim?.by === state.agent?.agent_id;
  return h(
    "p",
    { class: "acts", "data-once": journey_id },
    h("span", {}, h("strong", {}, label), ": ", w(claim ? (mine ? "you_do" : "other_does") : "not_twice", named)),
    claim ? (mine ? deed(w("done"), `done:${journey_id}`, done, "main") : null) : deed(w("claim"), `claim:${journey_id}`, take),
  );
}

async function act(space, doing, words) {
  try {
    const { version } = await doing;
    if (words) notify(words);
    await space.refresh(version);
  } catch (problem) {
    explain(problem);
    space.refresh();
  }
}
