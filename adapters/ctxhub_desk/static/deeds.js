// What an agent can do with a handoff, each in a small dialog that keeps what was typed until it worked.
import { get, newId, post } from "./api.js";
import { ask } from "./dialogs.js";
import { plain } from "./dom.js";
import { choicesOf, nameOf, question } from "./question.js";
import { explain, notify } from "./state.js";
import { lang, t } from "./words.js";

/** Confirm a value, the best one or a rival. */
export async function confirm(space, fact, value) {
  const { name, journey_id } = fact;
  try {
    const kept = await space.tell("facts", { name, value, journey_id, how: "confirmed", event_id: newId() });
    notify(t(kept ? "kept" : "fact_saved"));
  } catch (problem) {
    explain(problem);
  }
}

/** Add a fact, or correct a known one. */
export async function addFact(space, known = null) {
  const names = await askables(space.work);
  const eventId = newId();
  const act = async ({ name, value, journey_id, how }) => {
    const body = { name: nameOf(name, names), value, journey_id: journey_id || null, how, event_id: eventId };
    notify(t((await space.tell("facts", body)) ? "kept" : "fact_saved"));
  };
  const title = known ? t("correct_name", { label: known.label }) : t("add_fact");
  const shown = ask(title, factFields(space.work, known), t("save"), act);
  shown.append(choicesOf(names));
  if (known) shown.querySelector("textarea").select();
}

function factFields(work, known) {
  const journeys = work.journeys.map(({ journey_id, label }) => [journey_id, label]);
  const belongsTo = [...journeys, ["", t("general")]];
  const how = [
    ["stated", t("customer_said")],
    ["confirmed", t("i_checked")],
  ];
  return [
    { name: "name", label: t("which_fact"), value: known?.name ?? "", list: "askable" },
    { name: "value", label: t("value"), value: plain(known?.value), long: true },
    {
      name: "journey_id",
      label: t("belongs_to"),
      choices: belongsTo,
      value: known ? (known.journey_id ?? "") : belongsTo[0][0],
    },
    { name: "how", label: t("how_known"), choices: how, value: known ? "confirmed" : "stated" },
  ];
}

/** Ask the customer for a fact. */
export async function askFor(space, gap = null, journeyId = null) {
  const { handoff, interaction } = space.work;
  const send = (body) => {
    const floor = {
      interaction_id: handoff.interaction_id,
      fence: space.work.handoff.fence,
      spoken: Boolean(interaction?.spoken),
    };
    const about = { journey_id: journeyId ?? handoff.journey_id };
    return post(`${space.customerPath}/questions?lang=${lang}`, { ...floor, ...about, ...body });
  };
  question({ gap, names: await askables(space.work), speakTo: interaction?.language ?? lang, send });
}

/** What can be asked for; without the list any name can be typed. */
async function askables(work) {
  const speak = encodeURIComponent(work.interaction?.language ?? lang);
  return get(`facts?lang=${lang}&speak=${speak}`).catch(() => work.journeys.flatMap((journey) => journey.missing));
}

/** Leave a note for whoever comes next. */
export function note(space) {
  const eventId = newId();
  ask(t("note"), [{ name: "text", label: t("note_title"), long: true }], t("save"), async ({ text }) => {
    notify(t((await space.tell("notes", { text, event_id: eventId })) ? "kept" : "note_saved"));
  });
}

/** Complete the handoff, with an outcome and perhaps a note. */
export function complete(space) {
  const eventId = newId();
  const outcomes = ["resolved", "unresolved", "follow_up"].map((outcome) => [outcome, t(`outcome_${outcome}`)]);
  const fields = [
    { name: "outcome", label: t("outcome"), choices: outcomes },
    { name: "text", label: t("note_title"), long: true, optional: true },
  ];
  ask(t("complete_title"), fields, t("complete"), async ({ outcome, text }) => {
    if (text.trim()) await space.tell("notes", { text, event_id: eventId });
    await post(`${space.handoffPath}/complete`, { fence: space.work.handoff.fence, outcome });
    space.end(t("completed"));
  });
}
