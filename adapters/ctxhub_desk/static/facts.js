// What the customer already told us, journey by journey, with the origin of every value, and what is still missing.
import { h, plain, show } from "./dom.js";
import { isSuspect } from "./identity.js";
import { channelChip, lang, t, time } from "./words.js";

/** Draw the panel. `acts` has confirm(fact, value), correct(fact), ask(askable, journeyId) and reveal(fact, place); null only shows. */
export function facts(acts) {
  const count = h("span", { class: "count" });
  const groups = h("div", { class: "groups" });
  const empty = h("p", { class: "empty" }, t("no_facts"));
  const element = h(
    "section",
    { class: "card facts", "aria-labelledby": "facts-title" },
    h("h2", { id: "facts-title" }, t("facts"), " ", count),
    empty,
    groups,
  );
  const draw = (work) => {
    count.textContent = t("facts_count", { n: work.facts.length, missing: work.missing.length });
    empty.hidden = work.facts.length > 0 || work.missing.length > 0;
    show(groups, grouped(work), (group) => group.journey_id, newGroup(acts), lang);
    for (const group of groups.children) group.update(grouped(work));
  };
  return { element, draw };
}

/** Each journey with its facts, then what belongs to the customer, whatever the journey. */
function grouped(work) {
  const warned = isSuspect(work.interaction);
  const facts = work.facts.map((fact) => ({ ...fact, warned }));
  const known = new Set(work.journeys.map((journey) => journey.journey_id));
  const general = facts.filter((fact) => !known.has(fact.journey_id));
  const groups = work.journeys.map((journey) => ({
    ...journey,
    facts: facts.filter((fact) => fact.journey_id === journey.journey_id),
  }));
  return general.length ? [...groups, { journey_id: "", facts: general, missing: [] }] : groups;
}

// A group is drawn once and then updated, so that a new value does not take the focus from its neighbours.
const newGroup = (acts) => (first) => {
  const title = h("h3", {});
  const rows = h("ul", { class: "rows" });
  const gaps = h("ul", { class: "gaps", "aria-label": t("missing") });
  const element = h("section", { class: "journey", "data-group": first.journey_id }, title, rows, gaps);
  element.update = (groups) => {
    const group = groups.find((other) => other.journey_id === first.journey_id);
    if (!group) return;
    title.replaceChildren(...heading(group));
    show(
      rows,
      group.facts,
      (fact) => fact.name,
      (fact, isNew) => row(fact, isNew, acts),
      lang,
    );
    show(
      gaps,
      group.missing,
      (gap) => gap.name,
      (gap) => missing(gap, group, acts),
      lang,
    );
    gaps.hidden = group.missing.length === 0;
  };
  element.update([first]);
  return element;
};

function heading(group) {
  if (!group.kind) return [t("general")];
  const step = group.steps.find((step) => step.step === group.step);
  const badges = [
    group.current && h("span", { class: "badge now" }, t("current")),
    group.step && h("span", { class: "badge" }, t("step", { step: step?.label ?? group.step })),
    group.state === "suspended" && h("span", { class: "badge" }, t("journey_suspended")),
  ];
  return [group.label, " ", ...badges.filter(Boolean)];
}

function row(fact, isNew, acts) {
  const conflict = fact.others.length > 0;
  return h(
    "li",
    {
      class: `fact ${fact.state}${isNew ? " fresh" : ""}${conflict ? " conflict" : ""}`,
      "data-fact": fact.name,
      "data-journey": fact.journey_id ?? "",
      "data-state": fact.state,
    },
    h("span", { class: "label", title: fact.name }, fact.label),
    value(fact),
    fact.withheld ? clearing(fact) : null,
    origin(fact),
    conflict ? h("span", { class: "badge hot" }, t("conflict")) : null,
    acts && deeds(fact, acts),
    conflict
      ? h(
          "ul",
          { class: "others", "aria-label": t("also_heard") },
          fact.others.map((other) => rival(fact, other, acts)),
        )
      : null,
  );
}

/** The value, or the mask that stands for it: what is revealed is put in place of the mask, and said aloud. */
function value(fact) {
  if (fact.masked)
    return h("span", { class: "value masked" }, h("span", { class: "cover", "aria-live": "polite" }, fact.masked));
  return h("span", { class: `value${fact.withheld ? " withheld" : ""}` }, fact.withheld ? t("withheld") : plain(fact.value));
}

/** What would clear a value that is held back. */
function clearing({ unlock, warned }) {
  if (warned) return h("span", { class: "unlock" }, t("held_while_warned"));
  if (!unlock) return null;
  const { level, again, within } = unlock;
  const or = again === null ? "" : ` ${t("or_again", { level: again, minutes: Math.round(within / 60) })}`;
  return h("span", { class: "unlock" }, t("shown_from", { level, how: t(`clears_${level}`) }) + or);
}

function deeds(fact, acts) {
  if (fact.withheld) return fact.masked && !fact.warned ? h("span", { class: "deeds" }, uncover(fact, acts)) : null;
  const settled = fact.state === "confirmed" || fact.state === "verified";
  return h(
    "span",
    { class: "deeds" },
    settled
      ? null
      : deed(t("confirm"), t("confirm_name", { label: fact.label }), `confirm:${fact.name}`, () =>
          acts.confirm(fact, fact.value),
        ),
    deed(t("correct"), t("correct_name", { label: fact.label }), `correct:${fact.name}`, () => acts.correct(fact)),
  );
}

const uncover = (fact, acts) =>
  deed(t("reveal"), t("reveal_name", { label: fact.label }), `reveal:${fact.name}`, (event) =>
    acts.reveal(fact, event.target.closest("li").querySelector(".masked")),
  );

const deed = (words, name, keep, click) =>
  h(
    "button",
    { type: "button", class: "small", "aria-label": name, "data-keep": keep, "data-writes": "held", on: { click } },
    words,
  );

/** Where a value came from: channel, who, when, in which state, and how surely when that is in doubt. */
function origin(line) {
  const doubt = line.confidence < 0.9 ? ` · ${t("sure", { n: Math.round(line.confidence * 100) })}` : "";
  const from = line.origin;
  return h(
    "span",
    { class: "origin" },
    from && [channelChip(from.channel), " ", t(`party_${from.party}`), " · ", time(from.at), " · "],
    h("span", { class: `state ${line.state}` }, t(`state_${line.state}`)),
    doubt,
  );
}

function rival(fact, other, acts) {
  return h(
    "li",
    { "data-other": fact.name },
    h("span", { class: "label" }, t("also_heard")),
    h("span", { class: "value" }, plain(other.value)),
    origin(other),
    acts &&
      deed(
        t("this_is_right"),
        `${t("this_is_right")}: ${plain(other.value)}`,
        `right:${fact.name}:${plain(other.value)}`,
        () => acts.confirm(fact, other.value),
      ),
  );
}

function missing(gap, group, acts) {
  return h(
    "li",
    { class: "gap", "data-missing": gap.name, "data-journey": group.journey_id },
    h("span", { class: "label", title: gap.name }, gap.label),
    h("span", { class: "badge lacks" }, t("missing")),
    acts &&
      deed(t("ask_for"), t("ask_for_name", { label: gap.label }), `ask:${gap.name}`, () =>
        acts.ask(gap, group.journey_id),
      ),
  );
}
