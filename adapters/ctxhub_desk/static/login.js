// The way in: a key, an agent, a queue.
import { post } from "./api.js";
import { h } from "./dom.js";
import { state, wordsOf } from "./state.js";
import { remember, remembered, t } from "./words.js";

/** Draw the login; `entered()` is called when the server let the agent in. */
export function login(entered, said = "") {
  const alert = h("p", { class: "alert", role: "alert", id: "login-alert" }, said);
  const submit = async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(event.target));
    alert.textContent = "";
    try {
      state.agent = await post("login", fields);
      remember("queue", fields.queue);
      event.target.reset();
      entered();
    } catch (problem) {
      alert.textContent = problem.status === 401 ? t("bad_key") : wordsOf(problem);
    }
  };
  return h(
    "main",
    { class: "login" },
    h(
      "form",
      { class: "card", on: { submit }, "aria-describedby": "login-hint" },
      h("h1", {}, t("log_in_title")),
      field("agent_id", { autocomplete: "username", spellcheck: "false" }),
      field("key", { type: "password", autocomplete: "current-password", spellcheck: "false" }),
      field("queue", { spellcheck: "false", value: remembered("queue") ?? "default" }),
      alert,
      h("button", { class: "main", type: "submit" }, t("log_in")),
      h("p", { class: "hint", id: "login-hint" }, t("log_in_hint")),
    ),
  );
}

const field = (name, attributes) =>
  h(
    "label",
    { class: "field" },
    h("span", {}, t(name)),
    h("input", { name, required: true, maxlength: 200, ...attributes }),
  );
