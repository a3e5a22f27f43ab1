// The desk: the bar on top, who waits on the left, the work on the right.
import { get, part } from "./api.js";
import { field } from "./dialogs.js";
import { h } from "./dom.js";
import { findHeld, hold } from "./held.js";
import { allowWrites, explain, notice, notify, state } from "./state.js";
import { Waiting } from "./waiting.js";
import { Workspace } from "./work.js";
import { lang, remembered, t } from "./words.js";

/** Draw the desk and keep it alive until `stop()`. */
export function desk() {
  let open = null;
  let beside = null;
  const place = h("div", { class: "place" });

  const close = () => {
    open?.stop();
    beside?.stop();
    open = beside = null;
  };

  const show = (work, calls) => {
    close();
    state.work = work;
    hold(work.handoff);
    location.hash = work.handoff.handoff_id;
    open = new Workspace(work, { leave, redraw: () => side.draw() });
    place.replaceChildren(open.element);
    side.draw();
    allowWrites();
    open.sendReceipt();
    if (calls) open.once(true);
    begin(open);
  };

  /** Read from the top, also where one pressed far below. */
  const begin = ({ element }) => {
    element.querySelector("h1").focus({ preventScroll: true });
    scrollTo(0, 0);
  };

  const leave = (words) => {
    if (words) notify(words);
    close();
    state.work = null;
    history.replaceState(null, "", location.pathname);
    place.replaceChildren(
      h("main", { class: "nothing" }, h("h1", {}, t("nothing_open")), h("p", {}, t("how_to_begin"))),
    );
    side.draw();
    allowWrites();
  };

  const choose = async (handoffId) => {
    try {
      show(await get(`handoffs/${encodeURIComponent(handoffId)}?lang=${lang}`));
    } catch (problem) {
      leave();
      refused(problem, problem.customer_id ?? "");
    }
  };

  /** Whom neither work nor an offer lets in may say why he must look. */
  const refused = async (problem, customerId) => {
    if (problem.code !== "forbidden") return explain(problem);
    return part("customer").then(({ glass }) => glass(customerId, look), explain);
  };

  const look = async (customerId, until = null) => {
    try {
      const found = await get(`customers/${encodeURIComponent(customerId)}?lang=${lang}`);
      const { visit } = await part("customer");
      leave();
      beside = visit(found, until, leave);
      place.replaceChildren(beside.element);
      begin(beside);
    } catch (problem) {
      refused(problem, customerId);
    }
  };

  const side = new Waiting({ open: show, choose, look });
  side.element.append(lookUp(look));
  const changed = ({ detail }) => detail === state.work?.handoff.handoff_id && open?.refresh();
  const keys = (event) => press(event, side, () => open);
  const goTo = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (wanted && wanted !== state.work?.handoff.handoff_id) choose(wanted);
  };
  addEventListener("desk:changed", changed);
  addEventListener("keydown", keys);
  addEventListener("hashchange", goTo);
  const wanted = decodeURIComponent(location.hash.slice(1));
  leave();
  findHeld()
    .catch(notice)
    .then(() => (wanted ? choose(wanted) : side.draw()));
  const stop = () => {
    close();
    side.stop();
    removeEventListener("desk:changed", changed);
    removeEventListener("keydown", keys);
    removeEventListener("hashchange", goTo);
    state.held.clear();
    state.calls.clear();
    state.offers = [];
  };
  return { element: h("div", { class: "desk" }, side.element, place), stop };
}

/** The way to a customer by id. */
function lookUp(look) {
  const submit = (event) => {
    event.preventDefault();
    look(new FormData(event.target).get("customer_id").trim());
    event.target.reset();
  };
  const button = h("button", { type: "submit", "data-writes": "any" }, t("look"));
  return h(
    "section",
    { "aria-labelledby": "beside-title" },
    h("h2", { id: "beside-title" }, t("beside")),
    h("form", { class: "look-up", on: { submit } }, field({ name: "customer_id", label: t("customer_id") }), button),
  );
}

const DEEDS = { q: "ask", f: "fact", n: "note", t: "transfer", r: "return", w: "complete" };

/** Single keys, never while somebody types, never with a dialog open, and only as long as they are wanted. */
function press(event, side, open) {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  // A dialog just closed keeps the focus for a moment where what had it before was drawn anew.
  const isThere = typing && !typing.closest("dialog:not([open])");
  if (isThere || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?") return help();
  if (remembered("keys") === "off") return;
  const key = event.key.toLowerCase();
  const offer = event.target.closest?.("[data-offer]")?.dataset.offer ?? state.offers[0]?.handoff_id;
  if ((key === "a" || key === "d") && offer && state.link !== "away")
    return key === "a" ? side.take(offer) : side.leave(offer);
  if (key === "m" && open()) {
    event.preventDefault();
    return open().write();
  }
  const button = DEEDS[key] && document.querySelector(`[data-act="${DEEDS[key]}"]`);
  if (button && !button.disabled) button.click();
}

/** Show the keys, which few need twice. */
export const help = () => part("help").then((found) => found.help(), explain);
