// Reading a masked value: with a reason that the hub keeps, for half a minute, and nowhere but on the screen.
import { now, post } from "./api.js";
import { ask } from "./dialogs.js";
import { h, plain } from "./dom.js";
import { more } from "./seldom_words.js";
import { notify } from "./state.js";
import { t, time } from "./words.js";

const SHOWN_FOR = 30_000;

/** Ask why a value must be read, then show it in place of its mask for a short while. */
export function reveal(space, fact, place) {
  const act = async ({ reason }) => {
    const { interaction_id } = space.work.handoff;
    const { facts } = await post(`${space.customerPath}/reveal`, { interaction_id, names: [fact.name], reason });
    const found = facts.find(({ name, journey_id }) => name === fact.name && journey_id === fact.journey_id);
    if (found && place.isConnected) uncover(place, plain(found.value));
    else notify(more("reveal_nothing"), "warn");
  };
  const why = { name: "reason", label: t("why"), long: true, least: 3 };
  ask(t("reveal_name", { label: fact.label }), [why], t("reveal"), act, more("reveal_kept"));
}

/** Show a value until its time is over, somebody hides it, or the page is out of sight. */
function uncover(place, value) {
  place.cover?.();
  const cover = place.querySelector(".cover");
  const mask = cover.textContent;
  const ends = new Date(now() + SHOWN_FOR).toISOString();
  const hide = h("button", { type: "button", class: "small", on: { click: () => place.cover() } }, more("hide"));
  const till = h("span", { class: "till" }, " ", time(ends, "relative", more("hides")), " ", hide);
  const timer = setTimeout(() => place.cover(), SHOWN_FOR);
  const away = () => place.cover();
  place.cover = () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", away);
    if (till.contains(document.activeElement)) place.parentElement.querySelector(".deeds button")?.focus();
    cover.textContent = mask;
    place.classList.remove("uncovered");
    till.remove();
    place.cover = null;
  };
  document.addEventListener("visibilitychange", away);
  cover.textContent = value;
  place.classList.add("uncovered");
  place.append(till);
}
