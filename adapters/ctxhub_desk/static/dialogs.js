// Small questions to the agent, as native dialogs: focus stays inside, Escape closes.
import { h } from "./dom.js";
import { allowWrites, wordsOf } from "./state.js";
import { t } from "./words.js";

let number = 0;

/** Open a dialog and return it with a way to close it; the focus goes back to where it was. */
export function dialog(title, content) {
  const id = `dialog-${++number}`;
  const element = h("dialog", { "aria-labelledby": id }, h("h2", { id }, title), content);
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
  allowWrites();
  return element;
}

/** Ask for a few fields and act on them; the dialog stays, with all that was typed, until acting succeeds. A `hint` stands on top. */
export function ask(title, fields, verb, act, hint = "") {
  const alert = h("p", { class: "alert", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    alert.textContent = "";
    try {
      await act(Object.fromEntries(new FormData(event.target)));
      shown.close();
    } catch (problem) {
      alert.textContent = wordsOf(problem);
    }
  };
  const form = h(
    "form",
    { on: { submit } },
    hint ? h("p", { class: "hint" }, hint) : null,
    fields.map(field),
    alert,
    buttons(verb, () => shown.close()),
  );
  const shown = dialog(title, form);
  return shown;
}

export const buttons = (verb, close) =>
  h(
    "p",
    { class: "acts end" },
    h("button", { type: "button", on: { click: close } }, t("cancel")),
    h("button", { type: "submit", class: "main", "data-writes": "any", "data-keeps": "" }, verb),
  );

/** One labelled field: {name, label, choices | long | list, value, optional, least}. */
export function field({ name, label, choices, long, list, value, optional, least, change }) {
  const attributes = { name, required: !optional, minlength: least, on: change ? { input: change } : null, value: value ?? null };
  return h("label", { class: "field" }, h("span", {}, label), control(attributes, { choices, long, list }));
}

function control(attributes, { choices, long, list }) {
  if (choices) {
    const select = h(
      "select",
      { ...attributes, value: null },
      choices.map(([value, words]) => h("option", { value }, words)),
    );
    if (attributes.value !== null) select.value = attributes.value;
    return select;
  }
  if (long) return h("textarea", { rows: 3, maxlength: 16_000, ...attributes });
  return h("input", { autocomplete: "off", maxlength: 200, list, ...attributes });
}
