// The left side: who waits, live, and what this agent holds.
import { follow, get, part, post } from "./api.js";
import { summary } from "./brief.js";
import { ask } from "./dialogs.js";
import { h, show } from "./dom.js";
import { renewDue } from "./held.js";
import { explain, lost, notice, notify, setLink, state } from "./state.js";
import { channelChip, channelName, lang, t, time } from "./words.js";

// A stream is silent when nothing happens and when nobody is there: so the queue is asked for now and then.
const EVERY = 10_000;
const SOON = 2000;
// Who stands further back is told of as they come forward.
const MOST_TOLD = 10;

export class Waiting {
  #open;
  #choose;
  #list = h("ul", { class: "offers", "aria-labelledby": "waiting-title" });
  #held = h("ul", { class: "held", "aria-labelledby": "held-title" });
  #count = h("span", { class: "count" }, "0");
  #nobody = h("p", { class: "empty" }, t("nobody_waits"));
  #mine = h("section", { hidden: true }, h("h2", { id: "held-title" }, t("my_work")), this.#held);
  #declined = new Set(); // still on offer to others, so shown last
  #told = new Map(); // handoff_id and language -> the customer told in one line
  #asked = Date.now();
  #routing = null; // what only a queue needs that suggests to agents
  #once = null; // what only callbacks need
  #rang = null; // whether a call ever did; null until told
  #presence = h("p", { class: "presence", hidden: true });
  #unfollow;
  #tending;

  /** Draw the side; `open(work)` shows what was accepted, `choose(handoffId)` what is held, `look` a customer. */
  constructor({ open, choose, look }) {
    this.#open = open;
    this.#choose = choose;
    this.look = look;
    const title = h("h2", { id: "waiting-title" }, t("waiting"), " ", this.#count);
    this.element = h(
      "aside",
      { "aria-label": t("waiting") },
      this.#presence,
      h("section", {}, title, this.#list, this.#nobody),
      this.#mine,
    );
    this.#unfollow = follow("queue/stream", (name, data) => this.#hear(name, data), lost);
    this.#tending = setInterval(() => this.#tend(), 1000);
    this.#look().catch(notice);
  }

  /** Ask whether the agent counts as there: the hub takes whoever does not answer for away. */
  async #look() {
    const stands = await get("presence");
    if (!stands.routed) return;
    const isNew = !this.#routing;
    this.#routing ??= await part("presence");
    this.#routing.showPresence(this.#presence, stands);
    if (isNew) this.draw();
  }

  stop() {
    this.#unfollow();
    clearInterval(this.#tending);
  }

  draw() {
    this.#count.textContent = state.offers.length;
    this.#nobody.hidden = state.offers.length > 0;
    document.title = (state.offers.length ? `(${state.offers.length}) ` : "") + t("title");
    const cards = state.offers.map((offer) => ({
      ...offer,
      once: Boolean(this.#once),
      declined: this.#declined.has(offer.handoff_id),
      rings: state.calls.get(offer.interaction_id)?.state === "ringing",
      told: this.#told.get(offer.handoff_id + lang) ?? "",
      mine: Boolean(this.#routing?.ringsHere(offer)),
    }));
    cards.sort((a, b) => b.rings - a.rings || a.declined - b.declined || b.mine - a.mine);
    cards.slice(0, MOST_TOLD).forEach((card) => this.#tell(card));
    show(
      this.#list,
      cards,
      (card) => card.handoff_id,
      (card, isNew) => this.#card(card, isNew),
      lang,
    );
    const current = state.work?.handoff.handoff_id;
    const held = [...state.held.values()].map(({ card }) => ({ ...card, current: card.handoff_id === current }));
    this.drawn?.();
    this.#mine.hidden = held.length === 0;
    show(
      this.#held,
      held,
      (card) => card.handoff_id,
      (card) => this.#heldCard(card),
      lang,
    );
  }

  /** Tell an offer in one line, once: what was asked for counts as told until it is. */
  async #tell(card) {
    const name = card.handoff_id + lang;
    if (this.#told.has(name)) return;
    this.#told.set(name, "");
    const words = await summary(card);
    this.#told.set(name, words);
    if (words) this.draw();
  }

  /** Accept an offer, or what `calls` back; whoever comes second is told who has it. */
  async take(handoffId, calls) {
    try {
      this.#open(await post(`handoffs/${encodeURIComponent(handoffId)}/accept?lang=${lang}`), calls);
    } catch (problem) {
      explain(problem);
      this.#refresh();
    }
  }

  /** Leave an offer to others, and say why. */
  leave(handoffId) {
    const choices = ["busy", "skills", "language", "other"].map((reason) => [reason, t(`decline_${reason}`)]);
    ask(t("decline_title"), [{ name: "reason", label: t("why"), choices }], t("decline"), async (answer) => {
      await post(`handoffs/${encodeURIComponent(handoffId)}/decline`, answer);
      this.#declined.add(handoffId);
      notify(t("declined"));
      this.draw();
    });
  }

  #tend() {
    renewDue((handoffId) => {
      dispatchEvent(new CustomEvent("desk:changed", { detail: handoffId }));
      this.draw();
    });
    if (Date.now() - this.#asked >= (state.link === "live" ? EVERY : SOON)) this.#refresh();
  }

  async #refresh() {
    this.#asked = Date.now();
    try {
      this.#hear("change", await get("queue"));
      if (this.#rang !== false) part("calls").then(({ ask }) => ask(this)).catch(notice);
      await this.#look();
    } catch (problem) {
      notice(problem);
    }
  }

  #hear(name, data) {
    if (name === "problem") return this.#giveUp(data);
    if (name === "away") return setLink("away");
    if (name === "bye") return setLink("lost");
    setLink("live");
    if (name.startsWith("call")) return this.#hearOfCalls(data);
    if (!data.offers) return undefined;
    announce(data.offers);
    state.offers = data.offers;
    if (!this.#once && data.offers.some(({ callback }) => callback)) this.#fetch();
    return this.draw();
  }

  #hearOfCalls(data) {
    this.#rang ||= data.calls?.length !== 0;
    if (this.#rang) part("calls").then(({ hear }) => hear(data, this), notice);
  }

  #fetch() {
    part("once").then((found) => {
      this.#once = found;
      this.draw();
    }, notice);
  }

  #giveUp(problem) {
    this.#unfollow();
    if (problem.status === 401) notice(problem);
    else notify(problem.detail, "warn");
  }

  #card(offer, isNew) {
    const id = offer.handoff_id;
    const looks = `offer card${isNew || offer.rings ? " fresh" : ""}${offer.declined ? " declined" : ""}`;
    const once = offer.callback && this.#once;
    const deed = (act, kind, click, words = t(act)) =>
      h(
        "button",
        { type: "button", class: kind, "data-writes": "any", "data-act": act, "data-keep": `${act}:${id}`, on: { click } },
        words,
      );
    return h(
      "li",
      { class: looks, "data-offer": id },
      h("p", { class: "head" }, channelChip(offer.channel), h("strong", {}, offer.reason), badges(offer)),
      this.#routing?.suggested(offer),
      offer.told ? h("p", { class: "told" }, offer.told) : null,
      offer.note ? h("p", { class: "note" }, offer.note) : null,
      h(
        "p",
        { class: "meta" },
        [offer.customer_id, " · ", time(offer.waiting_since, "since", t("waits"))],
        offer.expires_at ? [" · ", time(offer.expires_at, "relative", t("lapses"))] : null,
      ),
      once?.card(offer),
      h(
        "p",
        { class: "acts" },
        once ? deed("call", "main", () => this.take(id, true), once.call()) : deed("accept", "main", () => this.take(id)),
        deed("decline", null, () => this.leave(id)),
      ),
    );
  }

  #heldCard(card) {
    const id = card.handoff_id;
    const looks = {
      type: "button",
      class: "plain",
      "aria-current": card.current ? "true" : null,
      "data-keep": `held:${id}`,
    };
    return h(
      "li",
      { "data-held": id },
      h(
        "button",
        { ...looks, on: { click: () => this.#choose(id) } },
        channelChip(card.channel),
        h("span", {}, h("strong", {}, card.reason), h("small", {}, card.customer_id)),
      ),
    );
  }
}

function badges(offer) {
  return [
    offer.rings ? h("span", { class: "badge hot" }, t("rings")) : null,
    offer.to.agent ? h("span", { class: "badge hot" }, t("for_you")) : null,
    offer.priority ? h("span", { class: "badge hot" }, t("urgent", { n: offer.priority })) : null,
    offer.declined ? h("span", { class: "badge" }, t("you_declined")) : null,
    offer.prefers ? h("span", { class: "badge hot" }, t("already_with", { who: offer.prefers })) : null,
    offer.chained ? h("span", { class: "badge" }, t("chained")) : null,
    ...offer.skills.map((skill) => h("span", { class: "badge" }, skill)),
  ];
}

/** Say aloud who came; nobody is announced twice. */
function announce(offers) {
  const before = new Set(state.offers.map((offer) => offer.handoff_id));
  const came = offers.filter((offer) => !before.has(offer.handoff_id));
  const words = came.map((offer) => t("came", { reason: offer.reason, channel: channelName(offer.channel) }));
  if (words.length) document.querySelector("#announced").textContent = words.join(" ");
}
