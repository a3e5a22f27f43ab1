// A customer beside the work: asked for by id and opened with a reason, or calling at the phone; read and not worked on.
import { now, post } from "./api.js";
import { ask } from "./dialogs.js";
import { h } from "./dom.js";
import { facts } from "./facts.js";
import { badges, promise } from "./identity.js";
import { more } from "./seldom_words.js";
import { state } from "./state.js";
import { told } from "./talk.js";
import { channelChip, clock, t } from "./words.js";

const MINUTES = ["5", "15", "60"];
const LONGEST = 15 * 60_000; // for what was opened before, or is the agent's own work

/** Ask why a customer must be opened, then `look(customerId, until)`. */
export function glass(customerId, look) {
  const fields = [
    { name: "customer_id", label: t("customer_id"), value: customerId },
    { name: "reason", label: t("why"), long: true, least: 8 },
    { name: "minutes", label: more("glass_minutes"), choices: MINUTES.map((n) => [n, more("minutes", { n })]), value: "15" },
  ];
  const act = async ({ customer_id, reason, minutes }) => {
    const body = { reason, minutes: Number(minutes) };
    const { until } = await post(`customers/${encodeURIComponent(customer_id)}/access`, body);
    look(customer_id, until);
  };
  const shown = ask(more("glass_title"), fields, t("look"), act, more("glass_kept"));
  if (customerId) shown.querySelector("textarea").focus();
}

/** Draw what there is to read, until the time is over; `leave(words)` closes it. */
export function visit(found, until, leave) {
  const ends = until ?? new Date(now() + LONGEST).toISOString();
  const timer = setTimeout(() => leave(more("beside_over")), Date.parse(ends) - now());
  const panel = facts(null);
  const element = h("main", { class: "work", "data-customer": found.customer.customer_id }, [
    h("section", { class: "card strip", "aria-labelledby": "who" }, strip(found, ends)),
    h("div", { class: "columns" }, panel.element, past(found.recent)),
    h("div", { class: "deeds-bar" }, h("button", { type: "button", on: { click: () => leave() } }, t("shut"))),
  ]);
  panel.draw(found);
  return { element, stop: () => clearTimeout(timer) };
}

function strip({ customer, path, commitments }, ends) {
  const chips = path.map((channel, place) => [place ? " → " : null, channelChip(channel)]);
  return [
    h("div", { class: "who" }, h("h1", { id: "who", tabindex: -1 }, customer.customer_id), badges(customer)),
    path.length ? h("p", { class: "facts-of-identity" }, h("span", { class: "path" }, chips)) : null,
    isAtPhone(customer)
      ? h("p", { class: "hint" }, more("at_phone_until", { time: clock(ends) }))
      : h("p", { class: "alert" }, more("beside_until", { time: clock(ends) })),
    ...commitments.map(promise),
  ];
}

const isAtPhone = ({ customer_id }) => [...state.calls.values()].some((call) => call.customer_id === customer_id);

function past(recent) {
  return h(
    "section",
    { class: "card talk", "aria-labelledby": "talk-title" },
    h("h2", { id: "talk-title" }, t("talk")),
    h("div", { class: "log", role: "log", tabindex: 0, "aria-label": t("talk") }, told(recent)),
  );
}
