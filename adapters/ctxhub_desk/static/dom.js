// Building the page. Whatever somebody said goes in as text, never as markup.

/** Make an element: h("button", {class: "main", on: {click}}, "Accept"). Null attributes and children are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "on") for (const [type, act] of Object.entries(value)) element.addEventListener(type, act);
  else if (name === "value" || name === "checked") element[name] = value;
  else element.setAttribute(name, value === true ? "" : value);
}

/** Put children in place of what is there, keeping the focus where it can be kept. */
export function fill(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.keep : null;
  parent.replaceChildren(...children.flat(2).filter((child) => child !== null && child !== undefined));
  if (focused) parent.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
}

const drawn = new WeakMap();

// A button drawn anew between press and release never gets its click, so a pressed list is shown once it is let go.
let pressed = null;
const putOff = new Map();

function letGo() {
  pressed = null;
  for (const [list, given] of putOff) show(list, ...given);
}

addEventListener("pointerdown", (event) => (pressed = event.target), true);
// The click comes between the release and what was put off.
for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(letGo), true);
addEventListener("blur", letGo);

/** Show a list: what has not changed stays untouched, with its focus, selection and scroll place. */
export function show(list, items, key, draw, also = "") {
  if (list.contains(pressed)) {
    putOff.set(list, [items, key, draw, also]);
    return;
  }
  putOff.delete(list);
  const before = drawn.get(list) ?? new Map();
  const after = new Map();
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.keep : null;
  items.forEach((item, place) => {
    const looks = JSON.stringify(item) + also;
    const old = before.get(key(item));
    const kept = old?.looks === looks ? old : { looks, element: draw(item, before.size > 0 && !old) };
    after.set(key(item), kept);
    if (list.children[place] !== kept.element) list.insertBefore(kept.element, list.children[place] ?? null);
  });
  while (list.children.length > items.length) list.lastElementChild.remove();
  drawn.set(list, after);
  if (focused && !list.contains(document.activeElement)) {
    list.querySelector(`[data-keep="${CSS.escape(focused)}"]`)?.focus();
  }
}

/** Write any value the way a person reads it. */
export function plain(value) {
  if (typeof value === "string") return value;
  return value === null || value === undefined ? "" : JSON.stringify(value);
}
