// SPDX-License-Identifier: Apache-2.0

import type { Minute, Start } from "./api";
import { h, mark, Rows, say, th } from "./dom";

interface Count {
  what: string;
  hint: string;
  n: number;
  share: number;
}

const kinds: [Start, string][] = [
  ["warm", "at once, in a pod of the pool"],
  ["waited", "in a pod of the pool, after waiting for one"],
  ["cold", "in a pod of their own"],
  ["rejected", "not at all"],
];

/** hint says what helps against a reason for cold starts. */
function hint(reason: string): string {
  if (/differs/i.test(reason)) return "give the Job's template what the pool's has, or the pool the Job's";
  if (/no such pool|NoPool/i.test(reason)) return "correct the label hsj.paia.tech/pool, or make the pool";
  if (/Push/.test(reason)) return "set spec.assignment: Push";
  if (/no pod was idle|NoneIdle/i.test(reason)) return "raise idleTarget, or set standby.whenEmpty: Wait";
  if (/gang/i.test(reason)) return "raise idleTarget to the size of the gang";
  return "";
}

/** Bars is a table of counts with a bar in each row. */
class Bars {
  readonly element: HTMLElement;
  private rows: Rows<Count>;
  private none: HTMLElement;
  private table: HTMLElement;

  constructor(title: string, first: string, none: string, kind: string) {
    const body = h("tbody");
    const id = `bars-${kind}`;
    this.none = h("p", {}, none);
    this.table = h("table", { class: "bars" }, h("caption", { class: "hidden" }, title),
      h("thead", {}, h("tr", {}, th(first), th("Launches", "num"))), body);
    this.rows = new Rows<Count>(body, (c) => c.what, (c) => {
      const n = h("td", { class: "num" });
      const bar = h("i", { class: `bar ${kind === "starts" ? c.what : "cold"}`, "aria-hidden": "true" });
      const small = h("small");
      return {
        element: h("tr", {}, h("th", { scope: "row" }, c.what, " ", small, bar), n),
        update: (now) => {
          say(n, String(now.n));
          say(small, now.hint);
          bar.style.width = `${Math.max(now.share * 100, now.n ? 1 : 0)}%`;
        },
      };
    });
    this.element = h("section", { class: "card", "aria-labelledby": id }, h("h3", { id }, title), this.none, this.table);
  }

  show(counts: Count[]): void {
    const any = counts.some((c) => c.n > 0);
    mark(this.none, "hidden", any ? "" : null);
    mark(this.table, "hidden", any ? null : "");
    this.rows.show(counts);
  }
}

/** StartsView shows how the last hour's launches started, and why some of them cold. */
export class StartsView {
  private starts = new Bars("How launches started, last hour", "Start", "No launch in the last hour.", "starts");
  private reasons = new Bars("Why launches started cold, last hour", "Reason", "No cold start in the last hour.", "reasons");
  readonly elements = [this.starts.element, this.reasons.element];

  show(minutes: Minute[]): void {
    const by = new Map<string, number>();
    for (const m of minutes) for (const [reason, n] of Object.entries(m.reasons)) by.set(reason, (by.get(reason) ?? 0) + n);
    const count = (s: Start): number => minutes.reduce((sum, m) => sum + (m.starts[s] ?? 0), 0);
    const total = Math.max(1, kinds.reduce((sum, [s]) => sum + count(s), 0));
    this.starts.show(kinds.map(([s, what]) => ({ what: s, hint: what, n: count(s), share: count(s) / total })));
    const most = Math.max(1, ...by.values());
    this.reasons.show([...by].sort((a, b) => b[1] - a[1]).slice(0, 12)
      .map(([what, n]) => ({ what: what || "not known", hint: hint(what), n, share: n / most })));
  }
}
