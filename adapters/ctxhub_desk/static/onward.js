// Giving the customer to others: back to the bot, or on to a queue or a colleague, where somebody takes over or nobody does.
import { get, newId, post } from "./api.js";
import { ask } from "./dialogs.js";
import { fill, h } from "./dom.js";
import { more } from "./seldom_words.js";
import { allowWrites, explain, notify } from "./state.js";
import { t, time } from "./words.js";

/** Offer the customer to a queue or a colleague; the agent keeps the floor until somebody there takes over. */
export async function transfer(space) {
  const eventId = newId();
  const { queues } = await get("queues").catch(() => ({ queues: [] }));
  const kinds = [
    ["queue", more("to_queue")],
    ["agent", more("to_agent")],
  ];
  const fields = [
    { name: "kind", label: more("to_whom"), choices: kinds },
    { name: "name", label: more("name_of_it"), list: "queues" },
    { name: "reason", label: t("reason") },
    { name: "note", label: more("for_the_next"), long: true },
  ];
  const act = async ({ kind, name, reason, note }) => {
    const body = { fence: space.work.handoff.fence, to: { [kind]: name.trim() }, reason, note, event_id: eventId };
    await post(`${space.handoffPath}/transfer`, body);
    await space.refresh();
    notify(more("offered_on", { whom: name.trim() }));
  };
  const shown = ask(more("transfer_title"), fields, t("transfer"), act, more("transfer_keeps"));
  shown.append(h("datalist", { id: "queues" }, queues.map((value) => h("option", { value }))));
}

/** Give the customer back to the bot, at a step and with what it needs to know. */
export function giveBack(space) {
  const current = space.work.journeys.find((journey) => journey.current);
  const steps = (current?.steps ?? []).map(({ step, label }) => [step, label]);
  const fields = [
    { name: "step", label: more("go_on_at"), choices: [["", more("where_it_stands")], ...steps] },
    { name: "note", label: more("what_now"), long: true },
  ];
  ask(more("give_back_title"), fields, t("give_back"), async ({ step, note: words }) => {
    const body = { fence: space.work.handoff.fence, note: words, step: step || null };
    await post(`${space.handoffPath}/return`, body);
    space.end(more("given_back"));
  });
}

/** Draw that somebody else may take over, and the way to take that back; nothing where nobody may. */
export function draw(space, place) {
  const { transfer: offered, handoff } = space.work;
  const ended = place.offered && place.offered !== offered?.handoff_id;
  if (ended && handoff.mine && !place.takenBack) notify(more("nobody_took"), "warn");
  place.offered = offered?.handoff_id;
  place.takenBack = false;
  place.hidden = !offered;
  fill(place, ...(offered ? [pending(space, place, offered)] : []));
  allowWrites();
}

function pending(space, place, { handoff_id, to, expires_at }) {
  const takeBack = async () => {
    try {
      place.takenBack = true;
      await post(`handoffs/${encodeURIComponent(handoff_id)}/cancel`);
      notify(more("taken_back"));
    } catch (problem) {
      place.takenBack = false;
      explain(problem);
    }
    space.refresh();
  };
  const button = { type: "button", "data-writes": "held", "data-act": "take-back", "data-keep": "take-back" };
  const ends = expires_at && [" · ", time(expires_at, "relative", t("lapses"))];
  return h(
    "p",
    { class: "acts", "data-transfer": handoff_id },
    h("span", {}, more("offered_on", { whom: to.queue ?? to.agent }), ends),
    h("button", { ...button, on: { click: takeBack } }, more("take_back")),
  );
}
