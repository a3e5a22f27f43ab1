// What was said and what happened, as it happens, and the agent's answer.
import { get, newId, post } from "./api.js";
import { h, plain, show } from "./dom.js";
import { allowWrites, explain, notify, state } from "./state.js";
import { channelChip, channelName, clock, hasWords, lang, t, time } from "./words.js";

// So many entries tell what is going on; with fewer of them earlier ones are fetched unasked.
const FEW = 15;
// So many pages are looked through for an event that is pointed at.
const MOST_PAGES = 10;

const SAID = new Set(["message.received", "message.sent"]);
// What an agent wants to see at a glance; the rest comes with "show everything".
const AT_A_GLANCE = [
  /^message\.(received|sent|failed)$/,
  /^journey\.(started|completed|abandoned)$/,
  /^handoff\.(?!renewed|shown|joined)/,
  /^(note|assurance|risk|question|commitment|access)\.|^fact\.revealed$/,
];
const isWelcome = ({ type }) => AT_A_GLANCE.some((kind) => kind.test(type));

/** Draw the conversation of a work view; `add(entry)` puts in what comes live. */
export function talk(work) {
  const entries = new Map(work.recent.map((entry) => [entry.event_id, entry]));
  const list = h("ol", { class: "entries", lang: work.interaction?.language ?? null });
  const log = h("div", { class: "log", role: "log", tabindex: 0, "aria-label": t("talk") }, list);
  const everything = h("input", { type: "checkbox", on: { change: () => draw() } });
  const earlier = h("button", { type: "button", class: "small", on: { click: () => showEarlier() } }, t("earlier"));
  const empty = h("p", { class: "empty" }, t("nothing_said"));
  const answer = composer(work);
  const element = h(
    "section",
    { class: "card talk", "aria-labelledby": "talk-title" },
    h(
      "div",
      { class: "title" },
      h("h2", { id: "talk-title" }, t("talk")),
      earlier,
      h("label", { class: "switch" }, everything, t("everything")),
    ),
    empty,
    log,
    answer.form,
  );

  const inSight = () => [...entries.values()].filter((entry) => everything.checked || isWelcome(entry)).sort(inOrder());
  const inOrder = () => ([...entries.values()].every(isOwn) ? byVersion : byTime);
  const draw = () => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
    const shown = inSight();
    show(list, withHops(shown), (entry) => entry.event_id, drawEntry, lang);
    empty.hidden = shown.length > 0;
    earlier.hidden = !from || from <= 1;
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  // Where what is shown begins, as a version; nothing before it when there is none.
  // Entries of a customer who was merged into this one have versions of another timeline.
  const isOwn = (entry) => !entry.customer_id || entry.customer_id === work.customer.customer_id;
  let from = Math.min(work.version + 1, ...work.recent.filter(isOwn).map((entry) => entry.version));
  const fetchEarlier = async () => {
    if (!from || from <= 1) return;
    const path = `customers/${encodeURIComponent(work.customer.customer_id)}/timeline`;
    const of = `interaction_id=${encodeURIComponent(work.handoff.interaction_id)}&before=${from}&lang=${lang}`;
    try {
      const { events, next } = await get(`${path}?${of}`);
      from = next;
      add(...events);
    } catch (problem) {
      explain(problem);
    }
  };
  // One after the other, each from where the one before it ended.
  let turn = Promise.resolve();
  const bringEarlier = () => (turn = turn.then(fetchEarlier));
  const showEarlier = async () => {
    await bringEarlier();
    log.scrollTop = 0;
  };
  const add = (...more) => {
    for (const entry of more) entries.set(entry.event_id, entry);
    draw();
  };
  draw();
  requestAnimationFrame(() => {
    // scrolling needs a place on the page first
    log.scrollTop = log.scrollHeight;
    if (inSight().length < FEW && !earlier.hidden) bringEarlier();
  });
  // Evidence may lie far back, or among what is not shown at a glance.
  const point = async (eventIds) => {
    for (let page = 0; page < MOST_PAGES && from > 1 && !eventIds.some((id) => entries.has(id)); page += 1)
      await bringEarlier();
    const entry = entries.get(eventIds.find((id) => entries.has(id)));
    if (!entry) return notify(t("no_evidence"), "warn");
    if (!isWelcome(entry)) everything.checked = true;
    draw();
    const place = list.querySelector(`[data-event="${CSS.escape(entry.event_id)}"]`);
    list.querySelector(".pointed")?.classList.remove("pointed");
    place.classList.add("pointed");
    place.tabIndex = -1;
    place.focus({ preventScroll: true });
    return place.scrollIntoView({ block: "center" });
  };
  return { element, add, point, update: answer.update, write: answer.write };
}

const byTime = (a, b) => Date.parse(a.at) - Date.parse(b.at) || byVersion(a, b);
const byVersion = (a, b) => (a.version ?? Infinity) - (b.version ?? Infinity);

/** What was said and what happened, to be read only. */
export const told = (entries) => h("ol", { class: "entries" }, withHops(entries.filter(isWelcome)).map(drawEntry));

/** Mark where the conversation goes on over another channel. */
function withHops(entries) {
  let channel = null;
  return entries.map((entry) => {
    const hop = entry.channel && entry.channel !== channel ? entry.channel : null;
    channel = entry.channel ?? channel;
    return { ...entry, hop };
  });
}

function drawEntry(entry) {
  const kind = SAID.has(entry.type) ? `said ${entry.party}` : entry.type === "note.added" ? "note" : "happened";
  return h(
    "li",
    { class: kind, "data-event": entry.event_id, "data-type": entry.type },
    entry.hop && h("p", { class: "hop" }, channelChip(entry.hop)),
    said(entry),
  );
}

function said(entry) {
  const when = time(entry.at, "clock");
  if (SAID.has(entry.type)) return bubble(t(`party_${entry.party}`), entry.data.text, when);
  if (entry.type === "note.added") return bubble(t("note"), entry.data.text, when);
  return h("p", {}, h("span", { class: "what" }, sentence(entry)), " ", when);
}

const bubble = (who, text, when) =>
  h(
    "div",
    { class: "bubble" },
    h("p", { class: "who" }, who, " · ", when),
    h("p", { class: "text", dir: "auto" }, text),
  );

function sentence(entry) {
  const name = `event.${entry.type}`;
  const words = Object.fromEntries(Object.entries(entry.data).map(([key, value]) => [key, plain(value)]));
  if (!hasWords(name)) return entry.type;
  const outcome = words.outcome && hasWords(`outcome_${words.outcome}`) ? t(`outcome_${words.outcome}`) : words.outcome;
  return t(name, {
    ...words,
    value: entry.data.withheld ? t("held_back") : words.value,
    outcome: outcome ?? "",
    agent_id: words.agent_id ?? t("party_bot"),
    reason: words.reason ?? "",
    label: entry.label ?? "",
    channel: channelName(entry.channel),
  });
}

function composer(work) {
  const spoken = Boolean(work.interaction?.spoken);
  const label = spoken ? t("on_the_phone") : t("your_answer");
  let eventId = newId();
  const text = h("textarea", {
    name: "text",
    rows: 2,
    maxlength: 16_000,
    "aria-label": label,
    placeholder: label,
    "aria-describedby": "send-hint",
    on: {
      keydown: (event) => enter(event),
      input: () => {
        eventId = newId();
      },
    },
  });
  const send = h(
    "button",
    { type: "submit", class: "main", "data-writes": "held", "data-keeps": "" },
    spoken ? t("log_words") : t("send"),
  );
  const hint = h("p", { class: "hint", id: "send-hint" });
  const submit = async (event) => {
    event.preventDefault();
    if (!text.value.trim() || send.disabled) return;
    const words = {
      interaction_id: work.handoff.interaction_id,
      journey_id: state.work.handoff.journey_id ?? undefined,
      fence: state.work.handoff.fence,
      text: text.value,
      spoken,
      event_id: eventId,
    };
    send.disabled = true; // until it is answered: Enter pressed twice says it once
    try {
      const { kept } = await post(`customers/${encodeURIComponent(state.work.customer.customer_id)}/messages`, words);
      if (kept) notify(t("kept"));
      text.value = "";
      eventId = newId();
    } catch (problem) {
      explain(problem);
      dispatchEvent(new CustomEvent("desk:changed", { detail: work.handoff.handoff_id }));
    }
    allowWrites();
  };
  const enter = (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") document.querySelector("h1").focus();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    form.requestSubmit();
  };
  const form = h("form", { class: "composer", on: { submit } }, text, send, hint);
  const update = ({ handoff }) => {
    hint.textContent = handoff.mine ? t("send_hint") : t("no_floor");
  };
  update(work);
  return { form, update, write: () => text.focus() };
}
