// The supervisor's overview: what is chosen, what was read, and the page around it.
import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { everything, funnel, matrix, promises, tiles } from "./overview_parts.js";
import { w } from "./overview_words.js";
import { channelName, clock, lang, remember, remembered, speak, t } from "./words.js";

const AGAIN = 60_000;
const DAYS = ["1", "7", "28"];
const chosen = { days: remembered("days") ?? "7", channel: "" };
let shown = null;
let reading = 0;

function choice(name, options, value) {
  const select = h(
    "select",
    { id: name, "data-keep": name, on: { change: () => choose(name, select.value) } },
    options.map(([key, words]) => h("option", { value: key, selected: key === value }, words)),
  );
  return h("label", { class: "choice" }, h("span", {}, w(name === "days" ? "period" : name)), select);
}

function choose(name, value) {
  chosen[name] = value;
  if (name === "days") remember("days", value);
  read();
}

function bar() {
  const button = (words, name, act, click, more = {}) =>
    h("button", { type: "button", class: "quiet", "aria-label": name, title: name, "data-act": act, "data-keep": act, on: { click }, ...more }, words);
  const channels = shown ? shown.channels : [];
  return h(
    "header",
    { class: "bar" },
    h("p", { class: "brand" }, h("img", { src: "static/icon.svg", alt: "", width: 24, height: 24 }), h("b", {}, "ctxhub")),
    h("p", {}, h("a", { href: "./" }, w("to_desk"))),
    choice("days", DAYS.map((days) => [days, w(`days_${days}`)]), chosen.days),
    choice("channel", [["", w("all_channels")], ...channels.map((name) => [name, channelName(name)])], chosen.channel),
    h(
      "nav",
      { "aria-label": w("title") },
      button("↻", w("refresh"), "refresh", read),
      button(t("other_language"), t("to_other_language"), "language", otherLanguage, { lang: lang === "zh" ? "en" : "zh-CN" }),
      button("◐", t("theme"), "theme", otherTheme),
    ),
  );
}

function draw() {
  const open = new Set([...document.querySelectorAll("details[open]")].map((details) => details.dataset.keep));
  document.title = `ctxhub · ${w("title")}`;
  fill(document.body, bar(), h("p", { id: "banner", class: "banner", role: "alert", hidden: true }), main());
  for (const details of document.querySelectorAll("details")) details.open = open.has(details.dataset.keep);
}

function main() {
  if (!shown) return h("main", {}, h("h1", {}, w("title")), h("p", { role: "status" }, w("loading")));
  const { from, to, time_zone: zone } = shown.window;
  return h(
    "main",
    { "data-read": String(reading) },
    h("h1", {}, w("title")),
    h("p", { class: "meta", role: "status" }, w(from === to ? "one_day" : "window", { from, to, zone }), " · ", w("as_of", { time: clock(new Date().toISOString()) })),
    tiles(shown.metrics),
    h("div", { class: "halves" }, matrix(shown.matrix), funnel(shown.metrics), promises(shown.promises)),
    everything(shown.metrics),
  );
}

async function read() {
  const mine = ++reading;
  const wanted = new URLSearchParams({ days: chosen.days, lang });
  if (chosen.channel) wanted.set("channel", chosen.channel);
  try {
    const found = await get(`overview?${wanted}`);
    if (mine !== reading) return;
    if (chosen.channel) found.channels = [...new Set([...(shown?.channels ?? []), chosen.channel])];
    shown = found;
    draw();
  } catch (problem) {
    if (problem.status === 401) return location.replace("./");
    refuse(problem);
  }
}

/** Say what is wrong; what was read before stays. */
function refuse(problem) {
  if (!("status" in problem)) throw problem;
  const place = document.querySelector("#banner");
  place.hidden = false;
  place.textContent = problem.status === 403 ? w("needs_supervisor") : w("failed");
}

async function otherLanguage() {
  await speak(lang === "zh" ? "en" : "zh").catch(() => {});
  draw();
  read();
}

function otherTheme() {
  const dark = (document.documentElement.dataset.theme ?? preferred()) === "dark";
  remember("theme", dark ? "light" : "dark");
  document.documentElement.dataset.theme = dark ? "light" : "dark";
}

const preferred = () => (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

await speak(lang);
if (remembered("theme")) document.documentElement.dataset.theme = remembered("theme");
draw();
read();
setInterval(read, AGAIN);
