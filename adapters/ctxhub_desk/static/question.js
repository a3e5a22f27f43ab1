// Asking the customer for a fact; what was told before is said first, gently, and nothing is sent yet.
import { newId } from "./api.js";
import { buttons, dialog, field } from "./dialogs.js";
import { h, plain } from "./dom.js";
import { notify, wordsOf } from "./state.js";
import { channelName, sayTo, t, time } from "./words.js";

/** Open the dialog; `send(body)` answers whether it was sent, or what was told before. */
export function question({ gap, names, speakTo, send }) {
  const eventId = newId();
  const warning = h("div", { class: "warning", role: "alert" });
  let purpose = {};
  const submit = async (event) => {
    event.preventDefault();
    try {
      const body = { names: [nameOf(name.value, names)], text: words.value, event_id: eventId, ...purpose };
      const answer = await send(body);
      if (!answer.sent) return warn(answer.already);
      notify(t("asked"));
      shown.close();
    } catch (problem) {
      warning.replaceChildren(h("p", {}, wordsOf(problem)));
    }
    return undefined;
  };
  const suggest = () => {
    const known = names.find((other) => other.name === name.value || other.label === name.value);
    words.value = known?.question ?? sayTo(speakTo, "default_question", { label: name.value });
    purpose = {};
    warning.replaceChildren();
  };
  const warn = (already) => {
    const readBack = already.filter((fact) => fact.verdict !== "withheld");
    const confirm = () => {
      purpose = { purpose: "confirm" };
      words.value = readBack.map((fact) => inWords(speakTo, fact)).join("\n");
      words.focus();
      warning.replaceChildren();
    };
    const anyway = () => {
      purpose = { anyway: true };
      form.requestSubmit();
    };
    warning.replaceChildren(
      h("ul", {}, already.map(alreadyTold)),
      h(
        "p",
        { class: "acts" },
        h("button", { type: "button", class: "main", on: { click: () => shown.close() } }, t("dont_ask")),
        readBack.length ? h("button", { type: "button", on: { click: confirm } }, t("ask_to_confirm")) : null,
        h("button", { type: "button", on: { click: anyway } }, t("ask_anyway")),
      ),
    );
  };
  const form = h(
    "form",
    { on: { submit } },
    field({ name: "name", label: t("which_fact"), list: "askable", value: gap?.name ?? "", change: suggest }),
    field({ name: "text", label: t("question"), long: true, value: gap?.question ?? "" }),
    choicesOf(names),
    warning,
    buttons(t("send"), () => shown.close()),
  );
  const [name, words] = [form.elements.namedItem("name"), form.elements.namedItem("text")];
  const shown = dialog(t("ask"), form);
  if (gap) words.focus();
}

const inWords = (speakTo, { label, value }) => sayTo(speakTo, "confirm_question", { label, value: plain(value) });

function alreadyTold(fact) {
  if (fact.verdict === "withheld") return h("li", {}, t("already_withheld", { label: fact.label }));
  const { channel, party, at } = fact.origin;
  const from = [" (", channelName(channel), ", ", t(`party_${party}`), ", ", time(at), ")"];
  return h(
    "li",
    { "data-already": fact.name },
    t("already_told"),
    " ",
    fact.label,
    " = ",
    h("strong", {}, plain(fact.value)),
    from,
  );
}

/** What may be picked instead of typed. */
export const choicesOf = (names) =>
  h(
    "datalist",
    { id: "askable" },
    names.map(({ name, label }) => h("option", { value: name }, label)),
  );

/** A label that was typed means the fact of that label. */
export const nameOf = (typed, names) =>
  names.find((other) => other.name === typed || other.label === typed)?.name ?? typed;
