// One handoff that is worked on: who it is, what was told, what is said, and what becomes of it; kept up to date.
import { follow, get, part, post } from "./api.js";
import { brief } from "./brief.js";
import { addFact, askFor, complete, confirm, note } from "./deeds.js";
import { fill, h } from "./dom.js";
import { facts } from "./facts.js";
import { hold } from "./held.js";
import { identity, isSuspect } from "./identity.js";
import { allowWrites, explain, lost, notice, notify, setLink, state } from "./state.js";
import { talk } from "./talk.js";
import { lang, t } from "./words.js";

const PART_OF_CONTEXT = /^(callback|fact|journey|assurance|risk|handoff|interaction|identity|commitment|intent)\./;

export class Workspace {
  #leave;
  #redraw;
  #strip;
  #brief;
  #panel;
  #conversation;
  #once = h("section", { class: "card strip", hidden: true });
  #onward = h("section", { class: "card strip", hidden: true });
  #unfollow;
  #newest = 0;
  #due = 0;

  /** Draw a work view and keep it up to date until `stop()`; `leave()` is called when there is no more to do here. */
  constructor(work, { leave, redraw }) {
    this.#leave = leave;
    this.#redraw = redraw;
    this.#strip = h("section", { class: "card strip", "aria-labelledby": "who" }, identity(work));
    this.#panel = facts({
      confirm: (fact, value) => confirm(this, fact, value),
      correct: (fact) => addFact(this, fact),
      ask: (gap, journeyId) => askFor(this, gap, journeyId),
      reveal: (fact, place) => this.#reveal(fact, place),
    });
    this.#conversation = talk(work);
    this.#brief = brief(work, (eventIds) => this.#conversation.point(eventIds));
    this.element = h(
      "main",
      { class: "work", "data-handoff": work.handoff.handoff_id },
      this.#strip,
      this.#brief.element,
      this.#once,
      this.#onward,
      h("div", { class: "columns" }, this.#panel.element, this.#conversation.element),
      this.#buttons(),
    );
    this.#panel.draw(work);
    this.#follow();
    this.once();
    this.#goesOn();
  }

  /** Show what exactly one does, and once, where there is such a thing; `calls` begins with the call. */
  async once(calls) {
    const { handoff, journeys } = this.work;
    const wanted = handoff.callback || journeys.some(({ once, claim }) => once || claim);
    if (!wanted && this.#once.hidden) return;
    const found = await part("once").catch(notice);
    found?.draw(this, this.#once);
    if (calls) found?.dial(this, this.#once);
  }

  /** Show that somebody else may take over, where that was offered. */
  async #goesOn() {
    if (!this.work.transfer && this.#onward.hidden) return;
    const found = await part("onward").catch(notice);
    found?.draw(this, this.#onward);
  }

  get work() {
    return state.work;
  }

  /** Where requests about the handoff go. */
  get handoffPath() {
    return `handoffs/${encodeURIComponent(this.work.handoff.handoff_id)}`;
  }

  /** Where requests about the customer go. */
  get customerPath() {
    return `customers/${encodeURIComponent(this.work.customer.customer_id)}`;
  }

  /** Tell the hub something about the interaction, and look at the context as it is then; true where it is kept. */
  async tell(noun, body) {
    const about = { interaction_id: this.work.handoff.interaction_id };
    const { version, kept } = await post(`${this.customerPath}/${noun}`, { ...about, ...body });
    if (!kept) this.#lookAgain(version);
    return kept ?? false;
  }

  /** Look at the handoff again, at this version or a later one. */
  async refresh(version) {
    const atLeast = version ? `&min_version=${version}` : "";
    try {
      this.#update(await get(`${this.handoffPath}?lang=${lang}${atLeast}`));
    } catch (problem) {
      if (problem.status === 403 || problem.status === 404) this.#leave();
      else explain(problem);
    }
  }

  /** The work is over: say so and make room. */
  end(words) {
    state.held.delete(this.work.handoff.handoff_id);
    this.#leave(words);
  }

  /** Tell the hub that the facts were shown, once they have really been painted. */
  sendReceipt() {
    const { handoff } = this.work;
    if (!handoff.mine || handoff.receipt_at) return;
    const send = () => {
      if (!this.element.isConnected) return;
      const sent = () => (this.element.dataset.receipt = "sent");
      post(`${this.handoffPath}/receipt`).then(sent, explain);
    };
    requestAnimationFrame(() => requestAnimationFrame(send));
  }

  /** Put the cursor where the agent answers. */
  write() {
    this.#conversation.write();
  }

  stop() {
    this.#unfollow();
    clearTimeout(this.#due);
  }

  async #reveal(fact, place) {
    try {
      (await part("reveal")).reveal(this, fact, place);
    } catch (problem) {
      explain(problem);
    }
  }

  async #giveAway(how) {
    try {
      await (await part("onward"))[how](this);
    } catch (problem) {
      explain(problem);
    }
  }

  #buttons() {
    const keeps = (name) => (name === "fact" || name === "note" ? "" : null);
    const deed = (words, name, act, kind) =>
      h(
        "button",
        {
          type: "button",
          class: kind,
          "data-writes": "held",
          "data-keeps": keeps(name),
          "data-act": name,
          on: { click: act },
        },
        words,
      );
    return h(
      "div",
      { class: "deeds-bar", role: "group", "aria-label": t("my_work") },
      deed(t("ask"), "ask", () => askFor(this)),
      deed(t("add_fact"), "fact", () => addFact(this)),
      deed(t("note"), "note", () => note(this)),
      deed(t("transfer"), "transfer", () => this.#giveAway("transfer")),
      deed(t("give_back"), "return", () => this.#giveAway("giveBack")),
      deed(t("complete"), "complete", () => complete(this), "main"),
      h("button", { type: "button", "data-act": "leave", on: { click: () => this.#leave() } }, t("shut")),
    );
  }

  #update(next) {
    const before = this.work;
    if (before?.handoff.handoff_id !== next.handoff.handoff_id || next.version < before.version) return;
    state.work = next;
    hold(next.handoff);
    if (before.handoff.mine && next.handoff.state === "transferred") notify(t("transferred"));
    if (isSuspect(next.interaction) && !isSuspect(before.interaction)) notify(t("fraud"), "warn");
    fill(this.#strip, ...identity(next));
    this.#panel.draw(next);
    this.#brief.refresh(next);
    this.#conversation.update(next);
    this.#conversation.add(...next.recent);
    this.once();
    this.#goesOn();
    this.#redraw();
    allowWrites();
    if (before.customer.customer_id !== next.customer.customer_id) this.#follow();
  }

  /** Several events come together, as they were told; one look at the context serves them all. */
  #lookAgain(version) {
    this.#newest = Math.max(this.#newest, version ?? 0);
    this.#due ||= setTimeout(() => {
      this.#due = 0;
      this.refresh(this.#newest);
    }, 30);
  }

  /** Follow the customer, wherever the interaction is at home now. */
  #follow() {
    this.#unfollow?.();
    const { handoff, version } = this.work;
    const query = `interaction_id=${encodeURIComponent(handoff.interaction_id)}&after=${version}&lang=${lang}`;
    this.#unfollow = follow(`${this.customerPath}/stream?${query}`, (name, data) => this.#hear(name, data), lost);
  }

  #hear(name, data) {
    if (name === "problem") return this.#unfollow();
    if (name === "away") return setLink("away");
    if (name === "bye") return setLink("lost");
    setLink("live");
    if (name === "event") this.#conversation.add(data);
    if (name === "reset") this.refresh();
    if (name === "event" && PART_OF_CONTEXT.test(data.type)) this.#lookAgain(data.version);
    return undefined;
  }
}
