// The desk: the bar on top, who waits on the left, the work on the right.
import { get } from "./api.js";
import { dialog } from "./dialogs.js";
import { h } from "./dom.js";
import { findHeld, hold } from "./held.js";
import { allowWrites, explain, notice, notify, state } from "./state.js";
import { Waiting } from "./waiting.js";
import { Workspace } from "./work.js";
import { lang, remember, remembered, t } from "./words.js";

/** Draw the desk and keep it alive until `stop()`. */
export function desk() {
  let open = null;
  const place = h("div", { class: "place" });

  const show = (work) => {
    open?.stop();
    state.work = work;
    hold(work.handoff);
    location.hash = work.handoff.handoff_id;
    open = new Workspace(work, { leave, redraw: () => side.draw() });
    place.replaceChildren(open.element);
    side.draw();
    allowWrites();
    open.sendReceipt();
    open.element.querySelector("h1").focus({ preventScroll: true });
  };

  const leave = (words) => {
    if (words) notify(words);
    open?.stop();
    open = null;
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
      explain(problem);
      leave();
    }
  };

  const side = new Waiting({ open: show, choose });
  const look = ({ detail }) => detail === state.work?.handoff.handoff_id && open?.refresh();
  const keys = (event) => press(event, side, () => open);
  const goTo = () => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    if (wanted && wanted !== state.work?.handoff.handoff_id) choose(wanted);
  };
  addEventListener("desk:changed", look);
  addEventListener("keydown", keys);
  addEventListener("hashchange", goTo);
  const wanted = decodeURIComponent(location.hash.slice(1));
  leave();
  findHeld()
    .catch(notice)
    .then(() => (wanted ? choose(wanted) : side.draw()));
  const stop = () => {
    open?.stop();
    side.stop();
    removeEventListener("desk:changed", look);
    removeEventListener("keydown", keys);
    removeEventListener("hashchange", goTo);
    state.held.clear();
    state.offers = [];
  };
  return { element: h("div", { class: "desk" }, side.element, place), stop };
}

const DEEDS = { q: "ask", f: "fact", n: "note", r: "return", w: "complete" };

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

/** Show the keys, and the switch that turns them off. */
export function help() {
  const keys = [
    ["A", "key_a"],
    ["D", "key_d"],
    ["M", "key_m"],
    ["Q", "key_q"],
    ["F", "key_f"],
    ["N", "key_n"],
    ["R", "key_r"],
    ["W", "key_w"],
    ["?", "key_help"],
    ["Esc", "key_esc"],
  ];
  const wanted = h("input", {
    type: "checkbox",
    checked: remembered("keys") !== "off",
    on: { change: () => remember("keys", wanted.checked ? "on" : "off") },
  });
  const shown = dialog(
    t("keys"),
    h(
      "div",
      {},
      h("p", {}, t("about")),
      h(
        "dl",
        { class: "keys" },
        keys.map(([key, words]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, t(words)))),
      ),
      h("label", { class: "switch" }, wanted, t("keys_on")),
      h(
        "p",
        { class: "acts end" },
        h("button", { type: "button", class: "main", on: { click: () => shown.close() } }, t("close")),
      ),
    ),
  );
}
