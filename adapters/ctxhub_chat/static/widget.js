// The widget: a button in the corner of any page that opens the chat in a frame of its own.
//
//   <script type="module" src="https://hub.example/chat/acme/widget.js"></script>
//   <ctxhub-chat lang="zh" token="…"></ctxhub-chat>    only where language or token are to be set

const address = new URL("./", import.meta.url);
const words = {
  en: { open: "Open the chat", close: "Close the chat", title: "Chat" },
  zh: { open: "打开在线客服", close: "关闭在线客服", title: "在线客服" },
};

const look = `
  :host { all: initial; position: fixed; right: 1rem; bottom: 1rem; z-index: 2147483000; }
  button { display: grid; place-items: center; width: 3.5rem; height: 3.5rem; margin-left: auto; padding: 0; border: 0;
    border-radius: 50%; background: #0f6d66; cursor: pointer; box-shadow: 0 .4rem 1.2rem rgb(0 20 25 / .3); }
  button:hover { background: #0b5a54; }
  button:focus-visible { outline: 3px solid #0f6d66; outline-offset: 3px; box-shadow: 0 0 0 3px #fff; }
  svg { width: 1.7rem; height: 1.7rem; fill: none; stroke: #fff; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
  iframe { display: block; width: min(24rem, calc(100vw - 2rem)); height: min(38rem, calc(100vh - 7rem)); margin-bottom: .8rem;
    border: 0; border-radius: 1rem; box-shadow: 0 .8rem 2.6rem rgb(0 20 25 / .32); color-scheme: light dark; background: Canvas; }
  iframe[hidden] { display: none; }
`;

class CtxhubChat extends HTMLElement {
  #frame = null;
  #button = null;

  connectedCallback() {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(look);
    root.adoptedStyleSheets = [sheet];
    this.#button = this.#makeButton();
    root.append(this.#button);
    window.addEventListener("message", (event) => this.#hear(event));
    this.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    if (this.hasAttribute("token")) this.open();
  }

  get isOpen() {
    return this.#frame !== null && !this.#frame.hidden;
  }

  open() {
    this.#frame ??= this.#makeFrame();
    this.#frame.hidden = false;
    this.#tell();
    this.#frame.focus();
  }

  close() {
    if (!this.isOpen) return;
    this.#frame.hidden = true;
    this.#tell();
    this.#button.focus();
  }

  get #words() {
    const lang = this.lang || document.documentElement.lang || navigator.language;
    return lang.toLowerCase().startsWith("zh") ? words.zh : words.en;
  }

  #makeFrame() {
    const frame = document.createElement("iframe");
    const page = new URL(address);
    if (this.lang) page.searchParams.set("lang", this.lang);
    page.hash = this.getAttribute("token") ?? "";
    frame.src = page;
    frame.title = this.#words.title;
    this.shadowRoot.prepend(frame);
    return frame;
  }

  #makeButton() {
    const button = document.createElement("button");
    button.type = "button";
    button.ariaLabel = this.#words.open;
    button.ariaExpanded = "false";
    const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawing.setAttribute("viewBox", "0 0 24 24");
    drawing.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", "M4 4h16v12h-9l-5 4v-4H4z");
    drawing.append(path);
    button.append(drawing);
    button.addEventListener("click", () => (this.isOpen ? this.close() : this.open()));
    return button;
  }

  #tell() {
    this.#button.ariaLabel = this.isOpen ? this.#words.close : this.#words.open;
    this.#button.ariaExpanded = String(this.isOpen);
  }

  #hear(event) {
    const isOurs = this.#frame !== null && event.source === this.#frame.contentWindow;
    if (isOurs && event.data?.type === "ctxhub.chat.close") this.close();
  }
}

customElements.define("ctxhub-chat", CtxhubChat);
if (!document.querySelector("ctxhub-chat")) document.body.append(document.createElement("ctxhub-chat"));
