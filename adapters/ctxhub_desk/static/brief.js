// The customer told in a few sentences: why they came, what is known, tried, promised and next. Each leads to its evidence.
import { get } from "./api.js";
import { h, show } from "./dom.js";
import { notice } from "./state.js";
import { lang, t } from "./words.js";

const ROOM = 1200; // for the panel, in characters
const SHORT = 140; // for a card

/** Draw the brief of a work view; `point(eventIds)` shows an event, `refresh(version)` tells it again. */
export function brief(work, point) {
  const list = h("ul", { class: "lines", "aria-labelledby": "brief-title" });
  const rest = h("p", { class: "hint", hidden: true });
  const element = h(
    "section",
    { class: "card brief", "aria-labelledby": "brief-title", hidden: true },
    h("h2", { id: "brief-title" }, t("brief")),
    list,
    rest,
  );
  const draw = ({ lines, dropped, language }) => {
    list.lang = language;
    const keyed = lines.map((line, place) => ({ ...line, place }));
    show(
      list,
      keyed,
      (line) => line.place,
      (line) => drawLine(line, point),
      lang,
    );
    rest.textContent = t("brief_dropped", { n: dropped });
    rest.hidden = !dropped;
    element.hidden = lines.length === 0;
  };
  // Only the latest answer counts: the clock goes on, and so does the customer.
  let asked = 0;
  const refresh = async ({ customer, handoff, version }) => {
    const turn = ++asked;
    try {
      const told = await get(pathOf(customer.customer_id, handoff.interaction_id, ROOM, version));
      if (turn === asked) draw(told);
    } catch (problem) {
      notice(problem);
    }
  };
  refresh(work);
  return { element, refresh };
}

/** Tell an offer in one line, or in none where there is nothing to tell or nobody tells it. */
export async function summary({ customer_id, interaction_id }) {
  try {
    const { lines } = await get(pathOf(customer_id, interaction_id, SHORT));
    return lines.map((line) => line.text).join(lang === "zh" ? "" : " ");
  } catch (problem) {
    notice(problem);
    return "";
  }
}

function pathOf(customerId, interactionId, room, version) {
  const query = `interaction_id=${encodeURIComponent(interactionId)}&max_chars=${room}&lang=${lang}`;
  const atLeast = version ? `&min_version=${version}` : "";
  return `customers/${encodeURIComponent(customerId)}/brief?${query}${atLeast}`;
}

function drawLine({ text, about, evidence, place }, point) {
  const looks = { type: "button", class: "line", title: t("to_evidence"), "data-keep": `line:${place}` };
  return h(
    "li",
    { class: about, "data-about": about, "data-evidence": evidence.join(" ") },
    h("button", { ...looks, on: { click: () => point(evidence) } }, h("span", { dir: "auto" }, text)),
  );
}
