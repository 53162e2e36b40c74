// Making elements. Text is always text, never markup: what others wrote cannot
// become part of the page.

type Child = Node | string | undefined | false;

/** What an element is made with: attributes, and listeners under "on...". */
interface Attributes {
  [name: string]: string | number | boolean | undefined | ((event: any) => void);
}

/** Makes an element. A true attribute is there, a false or undefined one is not. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...present(children));
  return element;
}

/** Puts other children into an element. */
export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...present(children));
}

function present(children: Child[]): (Node | string)[] {
  return children.filter((child): child is Node | string => child !== undefined && child !== false);
}

const svg = "http://www.w3.org/2000/svg";

/** Line icons on a grid of 24, by their path. They say nothing to a screen reader. */
const icons = {
  back: "M15 5l-7 7 7 7",
  check: "M5 12.5l4.5 4.5L19 7",
  close: "M6 6l12 12M18 6L6 18",
  info: "M12 11v6M12 7.5v.01M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18",
  key: "M14 10a4 4 0 1 0-3.5 4L13 16h2v2h2v2h3v-3l-6.2-6.2",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6z",
  plus: "M12 5v14M5 12h14",
  send: "M5 12l15-7-5 15-3.5-6.5z",
};

export function icon(name: keyof typeof icons): SVGSVGElement {
  const element = document.createElementNS(svg, "svg");
  element.setAttribute("class", "icon");
  element.setAttribute("viewBox", "0 0 24 24");
  element.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg, "path");
  path.setAttribute("d", icons[name]);
  element.append(path);
  return element;
}

/** A round picture of a name: its first letter, on a colour that goes with the name. */
export function avatar(name: string): HTMLElement {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)!) % 997;
  return h("span", { class: `avatar hue-${sum % 8}`, "aria-hidden": "true" }, (Array.from(name.trim())[0] ?? "?").toUpperCase());
}
