// The page that stands in for a mobile app: shows what comes down, sends up what the customer does. All text is put in
// as text; the session is a cookie that no script reads.

const words = JSON.parse(document.getElementById("words").textContent);
const at = (id) => document.getElementById(id);
const main = document.querySelector("main");
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15000;
const moment = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
const PARTS = ["promises", "matters", "elsewhere", "help", "new", "facts"];

const app = { home: null, version: -1, stream: null, pause: FIRST_PAUSE, form: null, drawn: {} };

// What the browser keeps of a visit; without storage, in memory.

let inMemory = null;

function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

function visit(isNew = false) {
  const name = `ctxhub.app ${location.pathname}`;
  try {
    const kept = isNew ? null : sessionStorage.getItem(name);
    sessionStorage.setItem(name, kept ?? random());
    return sessionStorage.getItem(name);
  } catch {
    inMemory = isNew || !inMemory ? random() : inMemory;
    return inMemory;
  }
}

// Talking to the server

async function call(path, body) {
  const asked = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(`${path}?lang=${words.lang}`, { ...asked, signal: AbortSignal.timeout(15000) });
  const answer = response.status === 204 ? {} : await response.json();
  return { ok: response.ok, code: "", ...answer };
}

async function attempt(path, body) {
  try {
    const answer = await call(path, body);
    trouble(answer.degraded ? answer.notice : answer.ok || answer.code.startsWith("login") ? "" : words.failed);
    if (answer.ok) show(answer);
    if (answer.code === "login_needed") askWhoItIs();
    return answer;
  } catch {
    trouble(words.offline);
    return { ok: false, code: "offline" };
  }
}

async function open() {
  const answer = await attempt("home");
  at("loading").hidden = true;
  if (answer.code === "login_needed") return askWhoItIs();
  if (["interaction_ended", "interaction_unknown", "customer_unknown", "expired"].includes(answer.code)) return askWhoItIs();
  if (!answer.ok || answer.degraded) return again();
  main.dataset.ready = "";
  listen();
}

function again() {
  setTimeout(open, app.pause * (0.75 + Math.random() / 2));
  app.pause = Math.min(app.pause * 2, LONGEST_PAUSE);
}

function listen() {
  app.stream?.close();
  const stream = new EventSource(`stream?lang=${words.lang}`);
  app.stream = stream;
  const on = (name, act) => stream.addEventListener(name, (event) => { act(JSON.parse(event.data)); });
  on("home", (home) => { app.pause = FIRST_PAUSE; trouble(""); show(home); });
  on("message", (message) => { tell([message]); });
  on("handoff", ({ state }) => { main.dataset.handoff = state; });
  on("session", () => { attempt("home"); });
  on("degraded", () => trouble(words.offline));
  on("gone", () => { stream.close(); askWhoItIs(); });
  stream.addEventListener("error", () => {
    trouble(words.offline);
    if (stream.readyState === EventSource.CLOSED) again();
  });
}

// Logging in and leaving

function askWhoItIs() {
  main.dataset.ready = "";
  at("loading").hidden = true;
  const hadSession = app.home !== null && app.home.customer !== null;
  at("login-part").hidden = false;
  at("login-why").textContent = hadSession ? words.login_more : words.login_why;
}

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("login-fault").textContent = "";
  const login = { proof: { account: at("account").value.trim(), pin: at("pin").value } };
  const answer = await logIn(login);
  at("pin").value = "";
  if (answer.code === "login_refused") at("login-fault").textContent = words.login_refused;
  else if (answer.code === "login_unavailable") at("login-fault").textContent = words.login_away;
  if (!answer.ok || answer.degraded) return at("pin").focus();
  listen();
  at("matters-title").tabIndex = -1;
  at("matters-title").focus();
});

async function logIn(login) {
  if (app.home) {
    const answer = await attempt("login", { login });
    if (answer.code !== "another_customer") return answer;
  }
  const answer = await attempt("sessions", { visit: visit(), login, lang: words.lang, cookie: true });
  if (answer.code !== "interaction_ended") return answer;
  return attempt("sessions", { visit: visit(true), login, lang: words.lang, cookie: true });
}

at("leave").addEventListener("click", async () => {
  app.stream?.close();
  await attempt("leave", {});
  visit(true);
  location.reload();
});

// Showing: what is null is not known now, and what was there stays

function show(home) {
  if (home.version !== null && home.version !== undefined) {
    if (home.version < app.version) return;
    app.version = home.version;
  }
  const known = Object.fromEntries(Object.entries(home).filter(([, value]) => value !== null));
  app.home = { customer: null, ...app.home, ...known };
  if (home.version === null || home.version === undefined) return;
  app.home.line = home.line;
  main.dataset.status = home.status;
  const isKnown = home.customer.level >= 2;
  at("login-part").hidden = isKnown;
  at("login-why").textContent = words.login_more;
  at("leave").hidden = false;
  for (const part of PARTS) at(`${part}-part`).hidden = false;
  at("new-part").hidden = !isKnown;
  at("facts-part").hidden = !isKnown;
  draw("promises", home.promises, promiseCard);
  at("promises-part").hidden = home.promises.length === 0;
  draw("matters", home.journeys, matterCard);
  at("no-matters").hidden = home.journeys.length > 0;
  draw("elsewhere", home.elsewhere, elsewhereCard);
  at("elsewhere-part").hidden = home.elsewhere.length === 0;
  draw("menu", home.menu, menuButton);
  draw("facts", home.facts, factRow);
  at("no-facts").hidden = home.facts.length > 0;
  help(home);
}

// A list is drawn anew only where it has changed, and whoever stands on one of its buttons stays there. A button that is
// replaced between press and release never gets its click, so what is pressed waits until it is let go.

let pressed = null;
const putOff = new Map();

addEventListener("pointerdown", (event) => (pressed = event.target), true);
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(letGo), true);
addEventListener("blur", letGo);

function letGo() {
  pressed = null;
  for (const [id, given] of putOff) draw(id, ...given);
}

function draw(id, rows, make) {
  if (at(id).contains(pressed)) {
    putOff.set(id, [rows, make]);
    return;
  }
  putOff.delete(id);
  const text = JSON.stringify(rows);
  if (app.drawn[id] === text) return;
  app.drawn[id] = text;
  const key = document.activeElement?.dataset?.key;
  const stood = at(id).contains(document.activeElement);
  at(id).replaceChildren(...rows.flatMap(make));
  if (stood && key) [...at(id).querySelectorAll("[data-key]")].find((one) => one.dataset.key === key)?.focus();
}

function promiseCard(promise) {
  const card = element("li", `card promise ${promise.state}`);
  card.append(element("p", "what", promise.what));
  const due = element("p", "soft", "");
  const when = element("time", "", fill(words.due, { when: moment.format(new Date(promise.due_at)) }));
  when.dateTime = promise.due_at;
  due.append(when);
  if (words[promise.state]) due.append(element("span", "mark", words[promise.state]));
  card.append(due);
  return card;
}

function matterCard(journey) {
  const card = element("li", journey.mine ? "card mine" : "card");
  card.dataset.journey = journey.journey_id;
  card.append(element("h3", "", journey.label));
  if (journey.steps) card.append(progress(journey));
  const needs = journey.missing.map((one) => one.label).join(words.between);
  if (needs) card.append(element("p", "soft", fill(words.missing, { names: needs })));
  else if (journey.steps) card.append(element("p", "soft", words.with_us));
  if (journey.worked_on) card.append(element("p", "soft", words.worked_on));
  if (journey.offered && journey.reason) card.append(element("p", "reason", journey.reason));
  if (journey.kind !== null) card.append(deeds(journey, needs));
  return card;
}

function progress(journey) {
  const step = fill(words.step_of, { n: journey.number, m: journey.steps });
  const row = element("div", "progress");
  const bar = element("progress");
  bar.max = 100;
  bar.value = journey.percent;
  bar.setAttribute("aria-label", `${journey.label}: ${step}`);
  row.append(bar, element("p", "step", journey.step_label ? `${step} · ${journey.step_label}` : step));
  return row;
}

function deeds(journey, needs) {
  const row = element("div", "deeds");
  if (needs || journey.offered) row.append(button(words.go_on, `go ${journey.journey_id}`, "main", () => openForm(journey)));
  if (journey.offered) row.append(button(words.not_now, `not ${journey.journey_id}`, "", () => act(journey, "decline")));
  return row;
}

function elsewhereCard(contact) {
  const card = element("li", "card");
  const status = { agent: words.with_agent, waiting: words.waiting }[contact.status] ?? "";
  card.append(element("h3", "", contact.label));
  const since = fill(words.since, { when: moment.format(new Date(contact.since)) });
  card.append(element("p", "soft", [since, status, place(contact.line)].filter(Boolean).join(" · ")));
  return card;
}

const menuButton = (kind) => button(kind.label, `new ${kind.name}`, "", () => begin(kind));

function factRow(fact) {
  const value = element("dd", fact.withheld ? "withheld" : "", fact.withheld ? words.withheld : fact.value);
  if (fact.unsure) value.append(element("span", "mark", words.unsure));
  if (fact.from) value.append(element("span", "from", fact.from));
  const name = element("dt", "", fact.label);
  value.dataset.fact = fact.name;
  return [name, value];
}

// Help: people, the chat, the telephone

function help(home) {
  const waits = home.status === "waiting" && home.line;
  const line = { agent: words.agent_here, waiting: words.waiting }[home.status] ?? "";
  const text = [line, waits ? place(home.line) : "", waits ? opens(home.line) : ""].filter(Boolean).join(" · ");
  if (at("line").textContent !== text) at("line").textContent = text;
  at("say").hidden = !["waiting", "agent"].includes(home.status);
  tell(home.messages);
  draw("ways", [[home.status, home.chat, home.dial]], ([status, chat, dial]) => [
    ...(status === "self" ? [button(words.human, "human", "main", () => attempt("human", { op_id: random() }))] : []),
    ...(status === "waiting" ? [button(words.cancel_human, "cancel", "", () => attempt("human/cancel", { op_id: random() }))] : []),
    ...(chat ? [button(words.chat, "chat", "", goToChat)] : []),
    ...(dial ? [telephone(dial)] : []),
  ]);
}

function place(line) {
  if (!line?.place) return "";
  return line.place === 1 ? words.next : fill(words.place, { n: line.place, before: line.place - 1 });
}

function opens(line) {
  return !line.open && line.opens_at ? fill(words.closed_until, { when: moment.format(new Date(line.opens_at)) }) : "";
}

function telephone(number) {
  const link = element("a", "button", `${words.call} ${number}`);
  link.href = `tel:${number.replaceAll(/[^0-9+]/g, "")}`;
  return link;
}

async function goToChat() {
  if (app.home.status === "waiting") await attempt("human/cancel", { op_id: random() });
  const answer = await attempt("elsewhere", { op_id: random(), to: "chat" });
  if (answer.way?.link) location.assign(answer.way.link);
}

function tell(messages) {
  for (const message of messages) {
    if ([...at("log").children].some((one) => one.dataset.id === message.id)) continue;
    const row = element("p", `message ${message.party}`);
    row.dataset.id = message.id;
    const who = { customer: words.you, agent: words.colleague }[message.party];
    if (who) row.append(element("b", "", `${who} `));
    row.append(message.text);
    at("log").append(row);
    at("log").scrollTop = at("log").scrollHeight;
  }
  at("log").hidden = at("log").children.length === 0;
}

at("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = at("text").value.trim();
  if (!text) return;
  const answer = await attempt("messages", { message_id: random(), text });
  if (answer.ok && (!answer.degraded || answer.kept)) at("text").value = "";
});

// Journeys and their forms: what is known is shown and not asked

async function begin(kind) {
  const answer = await attempt("journeys", { op_id: random(), kind: kind.name });
  const begun = answer.journeys?.find((journey) => journey.journey_id === answer.journey_id);
  if (begun) await openForm(begun);
}

const act = (journey, how) => attempt(`journeys/${encodeURIComponent(journey.journey_id)}`, { op_id: random(), act: how });

async function openForm(journey) {
  const answer = await attempt(`journeys/${encodeURIComponent(journey.journey_id)}/form`, { op_id: random() });
  if (!answer.form) return;
  app.form = { journey_id: journey.journey_id, rows: answer.form };
  at("form-title").textContent = journey.label;
  at("form").replaceChildren(...formRows(answer.form));
  at("form-part").hidden = false;
  at("form-part").focus();
  at("form-part").scrollIntoView({ block: "nearest" });
}

function formRows(rows) {
  const known = rows.filter((row) => ["known", "withheld"].includes(row.verdict));
  const open = rows.filter((row) => ["ask", "confirm"].includes(row.verdict));
  const save = button(words.save, "save", "main", null);
  save.type = "submit";
  const close = button(words.close, "close", "", closeForm);
  const ends = element("div", "deeds");
  ends.append(...(open.length > 0 ? [save, close] : [close]));
  return [...knownRows(known), ...(open.length > 0 ? open.flatMap(field) : [element("p", "", words.form_full)]), ends];
}

function knownRows(rows) {
  if (rows.length === 0) return [];
  const list = element("dl", "known");
  for (const row of rows) {
    const value = element("dd", "", row.shown || words.form_kept);
    if (row.from) value.append(element("span", "from", row.from));
    list.append(element("dt", "", row.label), value);
  }
  return [element("h3", "", words.form_known), list];
}

function field(row, index) {
  const label = element("label", "", row.label);
  const input = element("input");
  label.htmlFor = input.id = `fact-${index}`;
  input.name = row.name;
  input.maxLength = 2000;
  input.autocomplete = "off";
  input.value = row.shown;
  if (row.secure) mask(input, row.secure);
  if (row.verdict !== "confirm" && !row.secure) return [label, input];
  const hint = element("p", "soft", row.secure ? words.form_secret : words.form_confirm);
  hint.id = `hint-${index}`;
  input.setAttribute("aria-describedby", hint.id);
  return [label, input, hint];
}

function mask(input, kind) {
  input.type = "password";
  input.value = "";
  input.maxLength = 64;
  input.inputMode = "numeric";
  input.autocomplete = kind === "otp" ? "one-time-code" : "off";
}

// Each secret goes by itself, once; what is not accepted must be entered again.

async function giveSecrets(inputs) {
  for (const input of inputs.filter((one) => one.value)) {
    const secret = input.value;
    input.value = "";
    const answer = await attempt("secrets", { op_id: random(), journey_id: app.form.journey_id, name: input.name, secret });
    if (answer.outcome === "accepted") continue;
    trouble(words[`secret_${answer.outcome ?? "unchecked"}`]);
    input.focus();
    return false;
  }
  return true;
}

function closeForm() {
  const journey_id = app.form?.journey_id;
  app.form = null;
  at("form-part").hidden = true;
  const card = [...at("matters").children].find((one) => one.dataset.journey === journey_id);
  (card?.querySelector("button") ?? at("matters-title")).focus();
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const inputs = [...at("form").querySelectorAll("input")];
  const isSecret = (input) => app.form.rows.some((row) => row.name === input.name && row.secure);
  const secrets = inputs.filter(isSecret);
  const hadSecrets = secrets.some((input) => input.value);
  if (!(await giveSecrets(secrets))) return;
  const facts = inputs.filter((input) => !isSecret(input)).map((input) => given(input)).filter(Boolean);
  if (facts.length === 0) return hadSecrets ? closeForm() : undefined;
  const answer = await attempt("facts", { op_id: random(), journey_id: app.form.journey_id, facts });
  if (answer.ok) closeForm();
});

function given(input) {
  const row = app.form.rows.find((one) => one.name === input.name);
  const text = input.value.trim();
  if (!text) return null;
  const isSame = row.verdict === "confirm" && text === row.shown;
  return { name: row.name, value: isSame ? row.value : text, how: isSame ? "confirmed" : "stated" };
}

// Small things

function trouble(text) {
  if (at("trouble").textContent !== text) at("trouble").textContent = text ?? "";
}

function fill(text, values) {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function button(text, key, kind, act) {
  const made = element("button", kind, text);
  made.type = "button";
  made.dataset.key = key;
  if (act) made.addEventListener("click", act);
  return made;
}

function element(name, kind = "", text = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

window.addEventListener("pagehide", () => app.stream?.close());
window.addEventListener("pageshow", (event) => event.persisted && open());

open();
