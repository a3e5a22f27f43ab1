// What the page asks of its own server. The agent's key stays in a cookie that no script can read.

/** A refusal, as the hub words it; `status` 0 when nobody answered. */
export class Problem extends Error {
  constructor(document) {
    super(document.detail ?? document.title ?? "");
    Object.assign(this, document);
  }
}

let skew = 0;

/** The server's time, so that deadlines are right on a machine whose clock is not. */
export const now = () => Date.now() + skew;

/** An id for something told; the same one when it is sent again. */
export const newId = () => `desk-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);

/** Fetch a part of the page that is seldom needed. */
export const part = (name) =>
  import(`./${name}.js`).catch(() => {
    throw new Problem({ status: 0, code: "unavailable" });
  });

async function call(method, path, body) {
  const answer = await sent(method, path, body);
  const date = Date.parse(answer.headers.get("Date") ?? "");
  if (date) skew = Math.abs(date - Date.now()) < 1500 ? 0 : date - Date.now();
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  throw new Problem({ ...content, status: answer.status });
}

async function sent(method, path, body) {
  const headers = { "X-Ctxhub-Desk": "1", Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(`api/${path}`, { method, headers, body: body && JSON.stringify(body), cache: "no-store" });
  } catch {
    throw new Problem({ status: 0, code: "unavailable" });
  }
}

const NAMES = ["ready", "snapshot", "change", "call", "calls", "event", "reset", "away", "problem", "bye"];

/** Follow a stream until the returned function is called; `heard(name, data)` gets each event, `lost()` each break. */
export function follow(path, heard, lost) {
  let source = null;
  let last = "";
  let timer = 0;
  const open = () => {
    source = new EventSource(
      last ? `api/${path}${path.includes("?") ? "&" : "?"}after=${encodeURIComponent(last)}` : `api/${path}`,
    );
    for (const name of NAMES) source.addEventListener(name, hear);
    source.addEventListener("error", broken);
  };
  const hear = (event) => {
    last = event.lastEventId || last;
    heard(event.type, JSON.parse(event.data));
  };
  const broken = () => {
    lost();
    // A browser gives up on any answer but 200; we don't.
    if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 2000);
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
