/**
 * What is put into the page: elements with a closed shadow root, and in it frames of
 * the extension. The page sees that they are there and how large they are; it cannot look
 * into them, nor send them events.
 */
import type { MessageState } from "../protocol.js";

const labels: Partial<Record<MessageState, string>> = {
  stale: "Sealed: its keys are gone, or it is from before you joined",
  overtaken: "Sealed change that came too late: another was first",
  foreign: "Sealed, but not for you",
  damaged: "Sealed, but damaged on the way",
  refused: "Sealed, but refused: it was forged or altered",
  removed: "Sealed for a group that you are no longer in",
  failed: "Sealed: could not be opened now",
};

const smallest = 40;
const largest = 420;
const origin = chrome.runtime.getURL("").replace(/\/$/, "");

/** Makes an element with a closed shadow root, and a style that the page does not reach. */
function hostElement(css: string): { host: HTMLElement; root: ShadowRoot } {
  const host = document.createElement("webmls-frame");
  const root = host.attachShadow({ mode: "closed" });
  const style = document.createElement("style");
  style.textContent = css;
  root.append(style);
  return { host, root };
}

function frame(page: string, token: string, title: string): HTMLIFrameElement {
  const element = document.createElement("iframe");
  element.src = `${chrome.runtime.getURL(page)}#${token}`;
  element.title = title;
  return element;
}

/** What stands beside a piece of armor, in its place where it stands alone. */
export class Marker {
  readonly #host: HTMLElement;
  readonly #root: ShadowRoot;
  readonly #around: Element;
  readonly #last: Text;
  #content: HTMLElement | undefined;
  #watching: IntersectionObserver | undefined;

  constructor(last: Text, around: Element, alone: boolean) {
    const { host, root } = hostElement(markerStyle);
    this.#host = host;
    this.#root = root;
    this.#around = around;
    this.#last = last;
    if (alone) around.setAttribute("data-webmls-sealed", "");
    // Behind the child of the innermost element that holds the last of it.
    let child: Node = last;
    while (child.parentNode && child.parentNode !== around) child = child.parentNode;
    around.insertBefore(host, child.nextSibling);
  }

  get connected(): boolean {
    return this.#host.isConnected && this.#last.isConnected;
  }

  remove(): void {
    this.#watching?.disconnect();
    this.#host.remove();
    this.#around.removeAttribute("data-webmls-sealed");
  }

  isFor(around: Element, last: Text): boolean {
    return this.#around === around && this.#last === last && this.connected;
  }

  show(state: MessageState, token: string | undefined): void {
    this.#content?.remove();
    this.#watching?.disconnect();
    this.#host.setAttribute("state", state);
    if (token === undefined) {
      const label = document.createElement("span");
      label.className = "label";
      label.textContent = labels[state] ?? "Sealed";
      this.#content = label;
      this.#root.append(label);
      return;
    }
    const box = document.createElement("span");
    box.className = "box";
    this.#content = box;
    this.#root.append(box);
    // A page may hold hundreds: those that come near are loaded.
    this.#watching = new IntersectionObserver(
      ([entry]) => {
        if (!entry?.isIntersecting) return;
        this.#watching?.disconnect();
        const element = frame("reader.html", token, "Opened by WebMLS");
        const resize = ({ source, data, origin: from }: MessageEvent) => {
          if (!element.isConnected) removeEventListener("message", resize);
          else if (source === element.contentWindow && from === origin && typeof data === "number") {
            element.style.height = `${Math.min(Math.max(Math.ceil(data), smallest), largest)}px`;
          }
        };
        addEventListener("message", resize);
        box.append(element);
      },
      { rootMargin: "400px" },
    );
    this.#watching.observe(box);
  }
}

const markerStyle = `
  :host { all: initial !important; display: block !important; margin: 4px 0 !important; max-width: 600px !important; }
  .box { display: block; min-height: ${smallest}px; }
  .label { display: inline-block; font: 12px/1.5 system-ui, sans-serif; color: #596273; background: #eef0f4; border-radius: 6px; padding: 2px 8px; }
  iframe { display: block; width: 100%; height: ${smallest}px; border: 0; color-scheme: normal; }
`;

/** The composing frame, above all else in the page. */
export class Composer {
  readonly token: string;
  readonly #host: HTMLElement;

  constructor(token: string) {
    this.token = token;
    const { host, root } = hostElement(composerStyle);
    this.#host = host;
    const element = frame("compose.html", token, "Write a sealed text");
    element.allow = "clipboard-write";
    root.append(element);
    host.setAttribute("popover", "manual");
    document.documentElement.append(host);
    host.showPopover?.();
    element.addEventListener("load", () => element.focus());
  }

  close(): void {
    this.#host.remove();
  }
}

const composerStyle = `
  :host { all: initial !important; position: fixed !important; inset: auto 24px 24px auto !important; width: 400px !important; height: 380px !important;
    max-width: calc(100vw - 32px) !important; max-height: calc(100vh - 32px) !important; z-index: 2147483647 !important; display: block !important;
    border-radius: 14px !important; overflow: hidden !important; box-shadow: 0 2px 6px rgb(0 0 0 / 20%), 0 12px 48px rgb(0 0 0 / 30%) !important; }
  iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: normal; }
`;

/** A button in the corner of the field that one writes in: opens the composing frame. */
export class FieldButton {
  readonly #host: HTMLElement;
  readonly #button = document.createElement("button");
  #field: HTMLElement | undefined;

  constructor(press: () => void) {
    const { host, root } = hostElement(buttonStyle);
    this.#host = host;
    const button = this.#button;
    button.type = "button";
    button.title = "Seal for a group";
    button.setAttribute("aria-label", "Seal for a group");
    const svg = "http://www.w3.org/2000/svg";
    const icon = document.createElementNS(svg, "svg");
    icon.setAttribute("viewBox", "0 0 16 16");
    for (const [name, attributes] of Object.entries({
      path: { d: "M5 7V5a3 3 0 0 1 6 0v2", fill: "none", stroke: "currentColor", "stroke-width": "1.6" },
      rect: { x: "3", y: "7", width: "10", height: "7", rx: "2", fill: "currentColor" },
    })) {
      const shape = document.createElementNS(svg, name);
      for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
      icon.append(shape);
    }
    button.append(icon);
    // The field keeps the focus, and with it what is selected.
    button.addEventListener("mousedown", (event) => event.preventDefault());
    button.addEventListener("click", (event) => {
      if (event.isTrusted) press();
    });
    root.append(button);
    for (const type of ["scroll", "resize"]) addEventListener(type, () => this.#place(), { capture: true, passive: true });
  }

  /** Shows it at a field. */
  at(field: HTMLElement): void {
    this.#field = field;
    if (!this.#host.isConnected) document.documentElement.append(this.#host);
    this.#place();
  }

  hide(): void {
    this.#field = undefined;
    this.#host.remove();
  }

  #place(): void {
    if (!this.#field) return;
    const { top, right, width, height } = this.#field.getBoundingClientRect();
    if (!this.#field.isConnected || width < 60 || height < 18) return this.hide();
    this.#button.style.top = `${top + Math.min(6, (height - 24) / 2)}px`;
    this.#button.style.left = `${right - 32}px`;
  }
}

const buttonStyle = `
  :host { all: initial !important; position: fixed !important; top: 0 !important; left: 0 !important; z-index: 2147483646 !important; display: block !important; }
  button { all: unset; position: fixed; box-sizing: border-box; display: grid; place-items: center; width: 24px; height: 24px; border-radius: 7px; cursor: pointer; color: #fff; background: #3f5bd6; opacity: 0.85; }
  button:hover { opacity: 1; }
  svg { width: 14px; height: 14px; }
`;
