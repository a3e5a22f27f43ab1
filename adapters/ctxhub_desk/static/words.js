// Which language the page speaks, and how it says times and channels.
import { now } from "./api.js";
import { h } from "./dom.js";

const CATALOGUES = {}; // a page speaks one language at a time, and fetches no other
const TO_CUSTOMERS = {
  en: {
    default_question: "May I ask for this: {label}?",
    confirm_question: "Let me check: {label} is {value}, is that right?",
  },
  zh: {
    default_question: "请问您的“{label}”是？",
    confirm_question: "跟您核对一下：{label}是{value}，对吗？",
  },
};
const CHANNELS = {
  en: {
    ivr: "IVR",
    voice: "Phone",
    chat: "Chat",
    app: "App",
    web: "Web",
    wechat: "WeChat",
    whatsapp: "WhatsApp",
    sms: "SMS",
    email: "E-mail",
    desk: "Desk",
    store: "Store",
  },
  zh: {
    ivr: "语音菜单",
    voice: "电话",
    chat: "聊天",
    app: "应用",
    web: "网页",
    wechat: "微信",
    whatsapp: "WhatsApp",
    sms: "短信",
    email: "邮件",
    desk: "坐席台",
    store: "门店",
  },
};

export let lang = remembered("lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** Speak another language from here on. */
export async function speak(language) {
  CATALOGUES[language] ??= (await import(`./${language}.js`)).default;
  lang = language;
  remember("lang", lang);
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
}

/** Say something in the page's language. */
export const t = (name, values = {}) => say(CATALOGUES[lang][name] ?? name, values);

/** Say something in a customer's language, as far as we speak it. */
export const sayTo = (language, name, values = {}) =>
  say(TO_CUSTOMERS[language?.startsWith("zh") ? "zh" : "en"][name], values);

/** Tell whether there are words for it. */
export const hasWords = (name) => name in CATALOGUES[lang];

export function say(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key] ?? "") : whole));
}

export const channelName = (channel) => CHANNELS[lang][channel] ?? channel ?? "";

/** A channel as a small coloured label; the word says what the colour says. */
export function channelChip(channel) {
  return channel && h("span", { class: `chip ${channel in CHANNELS.en ? channel : "other"}` }, channelName(channel));
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** How long ago, or how soon: "3 min. ago". */
function relative(at) {
  const seconds = Math.round((Date.parse(at) - now()) / 1000);
  if (Math.abs(seconds) < 2) return new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(0, "second");
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  return new Intl.RelativeTimeFormat(lang, { style: "short" }).format(Math.trunc(seconds / size), unit);
}

/** How long since: "3:07". */
function since(at) {
  const seconds = Math.max(0, Math.floor((now() - Date.parse(at)) / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, place) => (place ? String(part).padStart(2, "0") : part)).join(":");
}

export const clock = (at) => new Intl.DateTimeFormat(lang, { timeStyle: "short" }).format(Date.parse(at));
const moment = (at) =>
  new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium" }).format(Date.parse(at));

const FORMS = { relative, since, clock };

/** A time that keeps itself up to date; `sentence` has a place {age} for it. */
export function time(at, form = "relative", sentence = "{age}") {
  const written = () => sentence.replace("{age}", FORMS[form](at));
  const element = h("time", { datetime: at, title: moment(at) }, written());
  element.dataset.ticks = form;
  element.tick = () => {
    const words = written();
    if (element.textContent !== words) element.textContent = words;
  };
  return element;
}

setInterval(() => document.querySelectorAll("time[data-ticks]").forEach((element) => element.tick()), 1000);

/** Small wishes of this browser's owner: language, theme, keys. Nothing about customers is kept here. */
export function remembered(name) {
  try {
    return localStorage.getItem(`ctxhub-desk:${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`ctxhub-desk:${name}`, value);
  } catch {
    // A browser that keeps nothing still works.
  }
}
