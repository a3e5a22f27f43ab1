// The way in, and what stands around everything: the bar, the banner, what is said aloud.
import { get, post } from "./api.js";
import { desk, help } from "./desk.js";
import { h } from "./dom.js";
import { login } from "./login.js";
import { notify, setLink, state } from "./state.js";
import { clock, lang, remember, remembered, speak, t } from "./words.js";

let drawn = null;
let bannerDue = 0;

function bar() {
  const button = (words, name, click, more = {}) =>
    h("button", { type: "button", class: "quiet", "aria-label": name, title: name, on: { click }, ...more }, words);
  return h(
    "header",
    { class: "bar" },
    h(
      "p",
      { class: "brand" },
      h("img", { src: "static/icon.svg", alt: "", width: 24, height: 24 }),
      h("b", {}, "ctxhub"),
      " ",
      t("desk"),
    ),
    state.agent && h("p", { class: "whose" }, t("as_agent", { agent: state.agent.agent_id, queue: state.agent.queue })),
    h("p", { class: "link", id: "link" }),
    h(
      "nav",
      { "aria-label": t("menu") },
      state.agent?.supervisor ? h("a", { class: "button", href: "overview", "data-act": "overview" }, t("overview")) : null,
      button(t("other_language"), t("to_other_language"), otherLanguage, {
        lang: lang === "zh" ? "en" : "zh-CN",
        "data-act": "language",
      }),
      button("◐", t("theme"), otherTheme, { "data-act": "theme" }),
      state.agent && button("?", t("help"), help, { "data-act": "help" }),
      state.agent && button(t("log_out"), t("log_out"), logOut, { "data-act": "log-out" }),
    ),
  );
}

function draw(said = "") {
  drawn?.stop();
  drawn = null;
  const main = state.agent ? (drawn = desk()).element : login(() => draw(), said);
  document.title = t("title");
  document.body.replaceChildren(
    bar(),
    banner(),
    main,
    h("div", { id: "notices", role: "status" }),
    h("p", { id: "announced", class: "heard", role: "status" }),
  );
  showLink();
  document.querySelector("form.card input")?.focus();
}

const banner = () => h("p", { id: "banner", class: "banner", role: "alert", hidden: true });

/** A short break is not worth a banner. */
function showLink() {
  const pill = document.querySelector("#link");
  const words = { live: t("live"), connecting: t("connecting"), lost: t("lost"), away: t("lost") };
  pill.hidden = !state.agent;
  pill.className = `link ${state.link}`;
  pill.textContent = words[state.link];
  clearTimeout(bannerDue);
  if (state.link === "lost") bannerDue = setTimeout(() => setLink("away"), 3000);
  else tellAway(state.link === "away");
}

function tellAway(away) {
  const place = document.querySelector("#banner");
  place.hidden = !(away && state.agent);
  place.textContent = away ? t("away", { at: state.seenAt ? clock(new Date(state.seenAt).toISOString()) : "–" }) : "";
}

async function otherLanguage() {
  try {
    await speak(lang === "zh" ? "en" : "zh");
    draw();
  } catch {
    notify(t("not_sent"), "warn");
  }
}

function otherTheme() {
  const dark = (document.documentElement.dataset.theme ?? preferred()) === "dark";
  remember("theme", dark ? "light" : "dark");
  wear(dark ? "light" : "dark");
}

const preferred = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

function wear(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}

async function logOut() {
  await post("logout").catch(() => {});
  leaveDesk("");
}

function leaveDesk(said) {
  if (!state.agent) return;
  state.agent = null;
  state.work = null;
  history.replaceState(null, "", location.pathname);
  draw(said);
}

async function begin() {
  await speak(lang);
  wear(remembered("theme"));
  addEventListener("desk:link", showLink);
  addEventListener("desk:logged-out", () => leaveDesk(t("logged_out")));
  state.agent = await get("session").catch(() => null);
  draw();
}

begin();
