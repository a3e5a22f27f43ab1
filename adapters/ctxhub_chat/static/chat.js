// The page of the chat: shows what comes down, sends up what the customer writes. All text is put in as text.

const words = JSON.parse(document.getElementById("words").textContent);
const at = (id) => document.getElementById(id);
const main = document.querySelector("main");
const log = at("log");
const input = at("text");
const secret = at("secret");
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 15000;
const time = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });

// What a tab keeps while it lives, and a browser for longer; without storage, in memory.

function kept(storage) {
  const memory = new Map();
  const name = (key) => `ctxhub.chat ${location.pathname} ${key}`;
  const attempt = (act, otherwise) => {
    try {
      return act(window[storage]);
    } catch {
      return otherwise();
    }
  };
  return {
    get: (key) => attempt((s) => s.getItem(name(key)), () => memory.get(key) ?? null),
    set: (key, value) => attempt((s) => s.setItem(name(key), value), () => memory.set(key, value)),
    drop: (key) => attempt((s) => s.removeItem(name(key)), () => memory.delete(key)),
  };
}

const tab = kept("sessionStorage");
const browser = kept("localStorage");

function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

function remembered(where, key) {
  const value = where.get(key) ?? random();
  where.set(key, value);
  return value;
}

// A token comes in the fragment, which no log sees; it is taken out of the address at once, and starts a visit: the
// same one where this browser has followed the link before, since a token is good once.

function takeToken() {
  const token = location.hash.slice(1, 65);
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  tab.set("token", token);
  tab.set("visit", remembered(browser, `visit ${token.slice(0, 8)}`));
}

// Sending

const chat = { session: null, version: -1, seen: new Map(), outbox: [], isSending: false, stream: null, pause: FIRST_PAUSE, followsEnd: true };

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(20000),
  });
  const answer = await response.json();
  if (response.status >= 500 || response.status === 429) throw new Error(`status ${response.status}`);
  return { ok: response.ok, code: answer.code, ...answer };
}

async function begin() {
  const body = { lang: words.lang, visit: remembered(tab, "visit"), visitor: remembered(browser, "visitor") };
  const token = tab.get("token");
  const answer = await post("sessions", token ? { ...body, token } : body);
  if (answer.code === "interaction_ended") {
    tab.drop("visit");
    return begin();
  }
  if (!answer.ok) throw new Error(answer.code);
  if (!answer.degraded) tab.drop("token");
  return answer;
}

async function open() {
  const answer = await untilAnswered(begin);
  take(answer);
  main.dataset.ready = "";
  listen();
}

async function untilAnswered(send) {
  for (;;) {
    try {
      const answer = await send();
      if (answer.kept) {
        trouble(words.away);
        return answer;
      }
      if (!answer.degraded) {
        trouble("");
        chat.pause = FIRST_PAUSE;
        return answer;
      }
      trouble(answer.messages[0]?.text ?? words.offline);
    } catch {
      trouble(words.offline);
    }
    await paused();
  }
}

let wake = () => {};
function paused() {
  const pause = chat.pause * (0.75 + Math.random() / 2);
  chat.pause = Math.min(chat.pause * 2, LONGEST_PAUSE);
  return new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, pause);
  });
}

function send(text) {
  if (!text.trim()) return;
  const message = { message_id: random(), text };
  show({ id: message.message_id, party: "customer", text, at: new Date().toISOString() });
  chat.seen.get(message.message_id).classList.add("waits");
  replies([]);
  chat.outbox.push(message);
  flush();
}

// A secret is sent once and held nowhere: what does not arrive must be entered again.

async function sendSecret(text) {
  if (!text || !chat.session || chat.isSending) return;
  chat.isSending = true;
  typing(true);
  try {
    const answer = await post("secrets", { session: chat.session, message_id: random(), secret: text });
    if (!answer.ok || answer.degraded) throw new Error(answer.code);
    trouble("");
    take(answer);
  } catch {
    trouble(words.not_kept);
  }
  typing(false);
  chat.isSending = false;
  flush();
}

async function flush() {
  if (chat.isSending || !chat.session) return;
  chat.isSending = true;
  while (chat.outbox.length > 0) {
    typing(main.dataset.status === "bot");
    await deliver(chat.outbox[0]);
    chat.outbox.shift();
  }
  typing(false);
  chat.isSending = false;
}

async function deliver(message) {
  const bubble = chat.seen.get(message.message_id);
  const answer = await untilAnswered(() => sent(message, bubble));
  if (["interaction_ended", "expired", "forbidden", "interaction_unknown", "customer_unknown"].includes(answer.code)) {
    await beginAnew();
    return deliver(message);
  }
  bubble.classList.remove("waits");
  bubble.querySelector(".unsent")?.remove();
  if (answer.kept) keepMark(bubble);
  if (answer.ok) return take(answer);
  bubble.append(unsent());
}

async function sent(message, bubble) {
  try {
    const answer = await post("messages", { session: chat.session, ...message });
    if (answer.degraded) offerAgain(bubble);
    return answer;
  } catch (error) {
    offerAgain(bubble);
    throw error;
  }
}

// What is kept while the hub is away is marked until the hub is back; then the answer comes down by itself.

function keepMark(bubble) {
  if (bubble.querySelector(".kept")) return;
  bubble.append(element("span", "kept", words.kept));
}

function restored() {
  for (const mark of log.querySelectorAll(".kept")) mark.remove();
  trouble("");
}

function offerAgain(bubble) {
  typing(false);
  if (bubble.querySelector(".unsent")) return;
  const again = document.createElement("button");
  again.type = "button";
  again.textContent = words.again;
  again.addEventListener("click", () => wake());
  const line = unsent();
  line.append(" ", again);
  bubble.append(line);
}

function unsent() {
  const line = document.createElement("span");
  line.className = "unsent";
  line.textContent = words.unsent;
  return line;
}

async function beginAnew() {
  chat.stream?.close();
  tab.drop("visit");
  chat.version = -1;
  take(await untilAnswered(begin));
  listen();
}

// Listening

function listen() {
  chat.stream?.close();
  const stream = new EventSource(`stream?session=${encodeURIComponent(chat.session)}`);
  chat.stream = stream;
  const on = (name, act) => stream.addEventListener(name, (event) => act(JSON.parse(event.data)));
  const again = (pause) => {
    stream.close();
    setTimeout(() => chat.stream === stream && listen(), pause);
  };
  stream.addEventListener("open", () => chat.outbox.length === 0 && trouble(""));
  on("snapshot", (everything) => { restored(); take(everything); });
  on("context", (where) => { restored(); stand(where); });
  on("restored", () => trouble(""));
  on("message", (message) => { show(message); offer([message]); });
  on("session", ({ session }) => { chat.session = session; chat.version = -1; });
  on("bye", () => again(FIRST_PAUSE));
  on("degraded", () => trouble(words.away));
  on("gone", () => { stream.close(); open(); });
  stream.addEventListener("error", () => {
    trouble(words.offline);
    if (stream.readyState === EventSource.CLOSED) again(3 * FIRST_PAUSE);
  });
}

// Showing

function take(answer) {
  if (answer.session) chat.session = answer.session;
  const fresh = answer.messages.filter((message) => show(message));
  stand(answer);
  offer(fresh.length > 0 ? answer.messages : []);
}

function stand(where) {
  if (where.version === null || where.version < chat.version) return;
  chat.version = where.version;
  main.dataset.status = where.status;
  main.dataset.asks = where.asks ?? "";
  mask(where.secure);
  const status = words[`status_${where.status}`];
  if (at("status").textContent !== status) at("status").textContent = status;
  if (where.status === "agent") replies([]);
  facts(where.facts);
}

// While something secret is asked for there is a masked field, and no other.

function mask(kind) {
  const isSecret = Boolean(kind);
  secret.autocomplete = kind === "otp" ? "one-time-code" : "off";
  secret.inputMode = isSecret ? "numeric" : "";
  if (secret.hidden !== isSecret) return;
  const hadFocus = [input, secret].includes(document.activeElement);
  secret.value = "";
  secret.hidden = !isSecret;
  input.hidden = isSecret;
  if (hadFocus) (isSecret ? secret : input).focus();
}

function show(message) {
  const known = chat.seen.get(message.id);
  if (known) return false;
  const bubble = bubbleOf(message);
  chat.seen.set(message.id, bubble);
  log.insertBefore(bubble, log.querySelector(".typing"));
  if (message.party === "customer") chat.followsEnd = true;
  toEnd();
  return true;
}

function bubbleOf(message) {
  const bubble = element("div", `message ${message.party}`);
  bubble.dataset.id = message.id;
  if (message.asks) bubble.dataset.asks = message.asks;
  bubble.append(element("span", message.party === "agent" ? "name" : "unseen", words[message.party] ?? message.party));
  bubble.append(element("p", "text", message.text));
  if (message.at) {
    const when = element("time", "", time.format(new Date(message.at)));
    when.dateTime = message.at;
    bubble.append(when);
  }
  return bubble;
}

function offer(messages) {
  const last = messages.findLast((message) => message.party !== "system");
  if (last) replies(last.party === "bot" && main.dataset.status !== "agent" ? last.quick_replies ?? [] : []);
}

function replies(texts) {
  const buttons = texts.map((text) => {
    const button = element("button", "", text);
    button.type = "button";
    button.addEventListener("click", () => {
      send(text);
      if (matchMedia("(pointer: fine)").matches) input.focus();
    });
    return button;
  });
  at("replies").replaceChildren(...buttons);
  toEnd();
}

function facts(rows) {
  const before = new Map([...at("facts").children].map((row) => [row.dataset.fact, row.dataset.value]));
  at("facts").replaceChildren(...rows.map((fact) => rowOf(fact, before)));
  at("no-facts").hidden = rows.length > 0;
  at("count").textContent = rows.length;
}

function rowOf(fact, before) {
  const row = element("li", chat.version > 0 && before.get(fact.name) !== fact.value ? "fresh" : "");
  row.dataset.fact = fact.name;
  row.dataset.value = fact.value;
  row.append(element("span", "label", fact.label), element("span", "value", fact.value));
  if (fact.withheld) row.lastChild.replaceWith(element("span", "withheld", words.withheld));
  if (fact.unsure) row.append(element("span", "mark-unsure", words.unsure));
  if (fact.others.length > 0) row.append(element("span", "also", words.also.replace("{values}", fact.others.join(" / "))));
  if (fact.from) row.append(element("span", "from", fact.from));
  return row;
}

function typing(isOn) {
  const dots = log.querySelector(".typing");
  if (!isOn) return dots?.remove();
  if (dots) return;
  const beating = element("div", "typing");
  beating.setAttribute("aria-hidden", "true");
  beating.append(element("i"), element("i"), element("i"));
  log.append(beating);
  toEnd();
}

function toEnd() {
  if (chat.followsEnd) log.scrollTop = log.scrollHeight;
}

function trouble(text) {
  if (at("trouble").textContent !== text) at("trouble").textContent = text;
}

function element(name, kind = "", text = "") {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.textContent = text;
  return made;
}

// Whoever reads further up is not moved; otherwise the end stays in sight, whatever changes around it.

log.addEventListener("scroll", () => {
  chat.followsEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
});
new ResizeObserver(toEnd).observe(log);

// The customer's hands

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!secret.hidden) {
    const text = secret.value;
    secret.value = "";
    return sendSecret(text);
  }
  send(input.value);
  input.value = "";
  grow();
});

input.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("form").requestSubmit();
});

function grow() {
  input.style.height = "auto";
  input.style.height = `${input.scrollHeight + 2}px`;
}

input.addEventListener("input", grow);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && window.parent !== window) window.parent.postMessage({ type: "ctxhub.chat.close" }, "*");
});

const isWide = matchMedia("(min-width: 56rem)");
const unfold = () => {
  at("known").open = isWide.matches;
  document.querySelector("summary").tabIndex = isWide.matches ? -1 : 0;
};
isWide.addEventListener("change", unfold);
unfold();

window.addEventListener("hashchange", () => location.reload());
window.addEventListener("pagehide", () => chat.stream?.close());
window.addEventListener("pageshow", (event) => event.persisted && listen());
window.addEventListener("online", () => wake());

takeToken();
open();
