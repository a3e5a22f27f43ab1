// The keys of the desk, and whether they are wanted.
import { dialog } from "./dialogs.js";
import { h } from "./dom.js";
import { more } from "./seldom_words.js";
import { remember, remembered, t } from "./words.js";

/** Show the keys, and the switch that turns them off. */
export function help() {
  const keys = [
    ["A", "key_a"],
    ["D", "key_d"],
    ["M", "key_m"],
    ["Q", "key_q"],
    ["F", "key_f"],
    ["N", "key_n"],
    ["T", "key_t"],
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
      h("p", {}, more("about")),
      h(
        "dl",
        { class: "keys" },
        keys.map(([key, words]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, more(words)))),
      ),
      h("label", { class: "switch" }, wanted, more("keys_on")),
      h(
        "p",
        { class: "acts end" },
        h("button", { type: "button", class: "main", on: { click: () => shown.close() } }, t("close")),
      ),
    ),
  );
}
