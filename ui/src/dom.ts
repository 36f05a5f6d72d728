// SPDX-License-Identifier: Apache-2.0

type Child = Node | string;

/** h makes an element. Text is always text: nothing that comes from the cluster is read as HTML. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) e.setAttribute(name, value);
  e.append(...children);
  return e;
}

/** say changes an element's text if it is another, so that nobody's selection is lost for nothing. */
export function say(e: Element, text: string): void {
  if (e.textContent !== text) e.textContent = text;
}

export function mark(e: Element, attribute: string, value: string | null): void {
  if (value === null) e.removeAttribute(attribute);
  else if (e.getAttribute(attribute) !== value) e.setAttribute(attribute, value);
}

export function byId<E extends HTMLElement>(id: string): E {
  const e = document.getElementById(id);
  if (!e) throw new Error(`the page has no #${id}`);
  return e as E;
}

export interface Row<T> {
  element: HTMLElement;
  update: (item: T) => void;
}

/** Rows keeps one element for each item, by key: those that stay keep focus and selection. */
export class Rows<T> {
  private rows = new Map<string, Row<T>>();

  constructor(
    private parent: Element,
    private key: (item: T) => string,
    private make: (item: T) => Row<T>,
  ) {}

  show(items: T[]): void {
    const left = new Map(this.rows);
    let before: Element | null = this.parent.firstElementChild;
    for (const item of items) {
      const k = this.key(item);
      let row = this.rows.get(k);
      if (!row) {
        row = this.make(item);
        this.rows.set(k, row);
      }
      left.delete(k);
      row.update(item);
      if (row.element === before) before = before.nextElementSibling;
      else this.parent.insertBefore(row.element, before);
    }
    for (const [k, row] of left) {
      row.element.remove();
      this.rows.delete(k);
    }
  }
}

/** th and td are cells; num is for numbers, which are set under one another. */
export const th = (text: string, classes = ""): HTMLTableCellElement => h("th", { scope: "col", class: classes }, text);

/** wide is a table in a frame that can be scrolled sideways, by keyboard too. */
export function wide(label: string, table: HTMLTableElement): HTMLElement {
  return h("div", { class: "wide", role: "region", "aria-label": label, tabindex: "0" }, table);
}
