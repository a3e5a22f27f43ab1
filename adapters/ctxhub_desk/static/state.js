// What the whole page knows: who is here, whether the hub is, what is said to the agent, what may be written.
import { h } from "./dom.js";
import { clock, t } from "./words.js";

const MOST_NOTICES = 3;

export const state = {
  agent: null, // {agent_id, queue}
  offers: [],
  held: new Map(), // handoff_id -> {card, fence}
  calls: new Map(), // interaction_id -> a call of this agent's
  work: null, // the open work view
  link: "connecting", // live, connecting, lost, away
  seenAt: null, // when the hub was last heard of: how old is what stands here
};

/** Note whether the hub is there: `desk:link` tells the page. */
export function setLink(link) {
  if (link === "live") state.seenAt = Date.now();
  if (state.link === link) return;
  const wasAway = state.link === "away";
  state.link = link;
  if (wasAway && link === "live") notify(t("back"));
  dispatchEvent(new Event("desk:link"));
  allowWrites();
}

/** Only what can succeed can be pressed: while the hub is away what is kept till then, nothing without the floor. */
export function allowWrites() {
  const mine = Boolean(state.work?.handoff.mine);
  for (const element of document.querySelectorAll("[data-writes]")) {
    const answerless = state.link === "away" && !("keeps" in element.dataset);
    element.disabled = answerless || (element.dataset.writes === "held" && !mine);
  }
}

/** Say something to the agent, aloud for screen readers, without getting in the way. */
export function notify(text, kind = "info") {
  const notice = h("p", { class: `notice ${kind}` }, text);
  const place = document.querySelector("#notices");
  place.append(notice);
  if (place.children.length > MOST_NOTICES) place.firstElementChild.remove();
  setTimeout(() => notice.remove(), kind === "info" ? 5000 : 10_000);
}

/** Say why something did not work. */
export const explain = (problem) => notify(wordsOf(problem), "warn");

/** Put what went wrong into words, and draw the consequences. */
export function wordsOf(problem) {
  notice(problem);
  return isAway(problem) ? t("not_sent") : refusal(problem);
}

/** Draw the consequences of a refusal: nobody is there, or nobody is logged in. What is no refusal is our own fault. */
export function notice(problem) {
  if (!("status" in problem)) throw problem;
  if (problem.status === 401) dispatchEvent(new Event("desk:logged-out"));
  if (isAway(problem)) setLink("away");
}

const isAway = ({ status }) => status === 0 || status === 503;

/** Note that a stream broke; the browser is already trying again. */
export const lost = () => setLink(state.link === "away" ? "away" : "lost");

/** The page's own words where it has them, else the hub's; 409 names who holds it. */
export function refusal(problem) {
  const who = problem.held_by;
  const until = problem.until;
  if (problem.code === "held_by_another" && who) {
    return until ? t("taken_until", { who, until: clock(until) }) : t("taken", { who });
  }
  return [problem.detail ?? problem.title, problem.remedy].filter(Boolean).join(" ");
}
