// The parts of the overview: tiles with their definitions, the matrix, the funnel, promises, and everything as a table.
import { h } from "./dom.js";
import { w } from "./overview_words.js";
import { channelName, lang, time } from "./words.js";

const TILES = ["rqr.handoff", "questions.saved", "facts.survival", "handoff.accept", "handoff.wait", "aht", "promise.kept", "transfer.rate"];
const STEPS = ["offered", "accepted", "shown", "worked"];
const LOST = ["left", "expired", "declined", "cancelled"];

const percent = (share) => new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 1 }).format(share);
const number = (n) => new Intl.NumberFormat(lang, { maximumFractionDigits: 1 }).format(n);
const moment = (at) =>
  new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" }).format(Date.parse(at));

/** Say a duration as a person would. */
function lasting(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 90) return w("seconds", { n: number(seconds) });
  return seconds < 5400 ? w("minutes", { n: number(seconds / 60) }) : w("hours", { n: number(seconds / 3600) });
}

/** What a metric comes to, as one word; a figure only where there is one. */
function figure(metric) {
  if (metric.status === "not_instrumented") return "–";
  if (metric.value === null) return "–";
  if (metric.kind === "share") return percent(metric.value);
  return metric.kind === "times" ? lasting(metric.value) : number(metric.value);
}

/** What stands behind a figure: n and interval, quantiles, or an assumption. */
function grounds(metric) {
  if (metric.status === "not_instrumented") return metric.why;
  if (metric.kind === "count" && metric.assumed) {
    const { seconds, seconds_per_question: each } = metric.assumed;
    return w("saved_time", { minutes: number(seconds / 60), seconds: each });
  }
  if (metric.value === null) return w("none");
  if (metric.kind === "times") {
    const { p50, p90 } = metric.times;
    return w("times", { p50: lasting(p50), p90: lasting(p90), n: metric.n });
  }
  const [low, high] = (metric.interval ?? [0, 1]).map(percent);
  return w("share_of", { k: metric.numerator, n: metric.n, low, high });
}

const badge = ({ status }) => h("span", { class: `badge status ${status}` }, w(status));

/** A piece of a line of 100 %: where it begins and how wide it is. */
function piece(name, from, wide) {
  const element = h("span", { class: name });
  element.style.setProperty("--from", `${100 * from}%`);
  element.style.setProperty("--wide", `${100 * wide}%`);
  return element;
}

/** A share on its way from 0 to 1: a mark, and the interval it may lie in. */
function interval(metric) {
  if (!metric.interval) return null;
  const [low, high] = metric.interval;
  return h("div", { class: "interval", "aria-hidden": "true" }, piece("range", low, high - low), piece("at", metric.value, 0));
}

/** A definition that opens on a click or a key. */
function definition(metric) {
  const { from, to, time_zone: zone } = metric.window;
  return h(
    "details",
    { class: "definition", "data-keep": `definition:${metric.id}` },
    h("summary", { "aria-label": w("definition_of", { name: metric.name }) }, w("definition")),
    h("p", {}, metric.formula),
    h("p", { class: "meta" }, `${metric.id} v${metric.version} · `, w(from === to ? "one_day" : "window", { from, to, zone })),
    metric.left_out > 0 ? h("p", { class: "meta" }, w("left_out", { n: metric.left_out })) : null,
    metric.matures_at && h("p", { class: "meta" }, w("matures", { time: moment(metric.matures_at) })),
  );
}

/** The numbers that matter most, each as a tile. */
export function tiles(metrics) {
  const shown = TILES.map((id) => metrics.find((metric) => metric.id === id)).filter(Boolean);
  return h(
    "section",
    { "aria-labelledby": "key-numbers" },
    h("h2", { id: "key-numbers" }, w("key_numbers")),
    h("ul", { class: "tiles" }, shown.map(tile)),
  );
}

function tile(metric) {
  return h(
    "li",
    { class: `card tile ${metric.status}`, "data-metric": metric.id },
    h("h3", {}, metric.name, badge(metric)),
    h("p", { class: "figure" }, figure(metric)),
    interval(metric),
    h("p", { class: "grounds" }, grounds(metric)),
    definition(metric),
  );
}

const place = (name) => (name ? channelName(name) : w("direct"));
const way = (hop) => w("hop", { from: place(hop.from), to: place(hop.to) });

/** How deep a cell is coloured: by its share of the highest; the number says the same. */
const depth = (n, most) => (n ? `heat-${Math.max(1, Math.ceil((4 * n) / most))}` : "heat-0");

/** Facts by hops. */
export function matrix({ hops, rows, left_out: more }) {
  const most = Math.max(1, ...rows.flatMap((row) => row.repeats.map((n) => n ?? 0)));
  const cell = (n, hop) =>
    n === null
      ? h("td", { class: "silent", title: w("silent", { place: place(hop.to) }) }, "–")
      : h("td", { class: depth(n, most) }, number(n));
  const line = (row) =>
    h(
      "tr",
      { "data-fact": row.fact },
      h("th", { scope: "row" }, row.label),
      row.repeats.map((n, at) => cell(n, hops[at])),
      h("td", { class: "sum" }, number(row.total)),
    );
  const silent = [...new Set(hops.filter((hop) => !hop.instrumented).map((hop) => hop.to))];
  return h(
    "section",
    { class: "card wide", "aria-labelledby": "matrix" },
    h("h2", { id: "matrix" }, w("matrix")),
    h("p", { class: "hint" }, w("matrix_hint")),
    rows.length
      ? h(
          "div",
          { class: "scrolls", tabindex: "0", role: "group", "aria-labelledby": "matrix" },
          h(
            "table",
            { class: "matrix" },
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, w("fact")), hops.map((hop) => h("th", { scope: "col" }, way(hop))), h("th", { scope: "col" }, w("total")))),
            h("tbody", {}, rows.map(line)),
          ),
        )
      : h("p", { class: "empty" }, w("matrix_empty")),
    more > 0 ? h("p", { class: "meta" }, w("more_facts", { n: more })) : null,
    silent.map((to) => h("p", { class: "meta silent" }, w("silent", { place: place(to) }))),
  );
}

/** How far handoffs to people came. */
export function funnel(metrics) {
  const metric = metrics.find(({ kind }) => kind === "steps");
  const most = Math.max(1, metric.steps.offered);
  const bar = (step) =>
    h(
      "li",
      {},
      h("span", { class: "label" }, w(`step_${step}`)),
      h("span", { class: "bar-of", "aria-hidden": "true" }, piece("filled", 0, Math.min(1, metric.steps[step] / most))),
      h("b", {}, number(metric.steps[step])),
    );
  return h(
    "section",
    { class: "card", "aria-labelledby": "funnel", "data-metric": metric.id },
    h("h2", { id: "funnel" }, w("funnel"), " ", badge(metric)),
    h("ul", { class: "funnel" }, STEPS.map(bar)),
    h("h3", {}, w("lost")),
    h("ul", { class: "funnel lost" }, LOST.map(bar)),
    h(
      "details",
      { "data-keep": "funnel-table" },
      h("summary", {}, w("as_table")),
      table([w("step"), w("count")], [...STEPS, ...LOST].map((step) => [w(`step_${step}`), number(metric.steps[step])])),
    ),
    definition(metric),
  );
}

/** Promises that are late. */
export function promises(found) {
  const line = (promise) => [promise.what, promise.owner, time(promise.due_at), promise.customer_id];
  return h(
    "section",
    { class: "card", "aria-labelledby": "promises" },
    h("h2", { id: "promises" }, w("promises"), " ", h("span", { class: "count" }, number(found.length))),
    found.length
      ? h("div", { class: "scrolls", tabindex: "0", role: "group", "aria-labelledby": "promises" }, table([w("promise"), w("owner"), w("due"), w("customer")], found.map(line)))
      : h("p", { class: "empty" }, w("no_promises")),
  );
}

/** Every metric as a row. */
export function everything(metrics) {
  const row = (metric) => [
    h("span", { title: metric.formula }, metric.name, " ", h("code", {}, metric.id)),
    figure(metric),
    metric.interval ? metric.interval.map(percent).join(" – ") : "–",
    metric.n ?? "–",
    h("span", {}, badge(metric), metric.why ? ` ${metric.why}` : ""),
  ];
  return h(
    "details",
    { class: "card wide", "data-keep": "everything" },
    h("summary", {}, w("every")),
    h("div", { class: "scrolls", tabindex: "0", role: "group", "aria-label": w("every") }, table([w("number"), w("value"), w("interval"), "n", w("status")], metrics.map(row))),
  );
}

function table(head, rows) {
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, head.map((words) => h("th", { scope: "col" }, words)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => (at ? h("td", {}, cell) : h("th", { scope: "row" }, cell)))))),
  );
}

