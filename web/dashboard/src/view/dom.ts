/** Elements with less ink. Style and script attributes are never written: the page's policy forbids them. */

type Child = Node | string | undefined;
type Listeners = { readonly [Name in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[Name]) => void };

export interface Attributes {
  readonly class?: string | undefined;
  /** Anything else by its name in HTML; `true` is an attribute without a value, `undefined` is none. */
  readonly [name: string]: string | number | boolean | undefined;
}

export function h<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Name] {
  const element = document.createElement(name);
  set(element, attributes);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function s<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly Node[]
): SVGElementTagNameMap[Name] {
  const element = document.createElementNS(SVG, name);
  set(element, attributes);
  element.append(...children);
  return element;
}

function set(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

export function on<Target extends HTMLElement>(target: Target, listeners: Listeners): Target {
  for (const [name, listener] of Object.entries(listeners)) {
    target.addEventListener(name, listener as (event: Event) => void);
  }
  return target;
}

/** Changes the text only where it is another one: screen readers and layout are left in peace. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** A select with a label. */
export function choice(
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen: string,
  picked: (value: string) => void,
): { readonly element: HTMLElement; readonly select: HTMLSelectElement } {
  const select = h("select", { "aria-label": label }, ...options.map(([value, text]) => h("option", { value }, text)));
  select.value = chosen;
  on(select, { change: () => picked(select.value) });
  return { element: h("label", { class: "choice" }, h("span", {}, label), select), select };
}
