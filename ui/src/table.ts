// SPDX-License-Identifier: Apache-2.0

import type { Pool, Pools } from "./api";
import { h, mark, Rows, say, th, wide } from "./dom";
import { duration, hours, money, percent, rate } from "./format";
import { nameOf } from "./past";
import { linkTo } from "./view";

/** readiness is a pool's condition in a word, with a sign, so that it isn't told by colour alone. */
export function readiness(p: Pool): { text: string; kind: string } {
  if (p.ready === "True") return { text: "✓ ready", kind: "good" };
  if (p.reason === "IdleTargetNotMet") return { text: "… filling", kind: "open" }; // nothing stands in its way
  return { text: `${p.ready === "False" ? "✗" : "?"} ${p.reason || "not known yet"}`, kind: p.ready === "False" ? "poor" : "open" };
}

interface Column {
  title: string;
  narrow: boolean; // shown on narrow screens, too
  text: (p: Pool, all: Pools) => string;
}

const columns: Column[] = [
  { title: "Idle", narrow: true, text: (p) => `${p.idle} / ${p.idleTarget}` },
  { title: "Busy", narrow: true, text: (p) => String(p.busy) },
  { title: "Starting", narrow: false, text: (p) => String(p.starting) },
  { title: "Waiting", narrow: false, text: (p) => String(p.waiting) },
  { title: "Launches/s", narrow: false, text: (p) => rate(p.launchesPerSecond) },
  { title: "p50", narrow: false, text: (p) => duration(p.p50) },
  { title: "p99", narrow: false, text: (p) => duration(p.p99) },
  { title: "Hits", narrow: false, text: (p) => percent(p.hitRatio) },
  {
    title: "Idle time", narrow: false,
    text: (p, all) => hours(p.idleSeconds) + (all.pricePerPodHour ? ` = ${money((p.idleSeconds / 3600) * all.pricePerPodHour)}` : ""),
  },
];

/** PoolsTable lists all pools; the one whose details are shown is marked. */
export class PoolsTable {
  readonly element: HTMLElement;
  private rows: Rows<Pool>;
  private all: Pools | undefined;
  private selected = "";

  constructor() {
    const body = h("tbody");
    const table = h("table", { class: "pools" }, h("caption", { class: "hidden" }, "Pools: what they do now. Rates are of the last minute, latencies and hits of the last hour."),
      h("thead", {}, h("tr", {}, th("Pool"), th("State"), ...columns.map((c) => th(c.title, c.narrow ? "num" : "num broad")))), body);
    this.rows = new Rows<Pool>(body, nameOf, (first) => {
      const link = h("a", { href: linkTo(first) }, h("b", {}, first.name), " ", h("small", {}, first.namespace));
      const state = h("span", { class: "chip" });
      const cells = columns.map((c) => h("td", { class: c.narrow ? "num" : "num broad" }));
      const element = h("tr", {}, h("th", { scope: "row" }, link), h("td", {}, state), ...cells);
      return {
        element,
        update: (p) => {
          const r = readiness(p);
          say(state, r.text);
          mark(state, "data-kind", r.kind);
          mark(link, "href", linkTo(p));
          mark(link, "aria-current", nameOf(p) === this.selected ? "true" : null);
          mark(element, "data-selected", nameOf(p) === this.selected ? "true" : null);
          const all = this.all;
          if (all) columns.forEach((c, i) => say(cells[i] ?? element, c.text(p, all)));
        },
      };
    });
    this.element = h("section", { class: "card", "aria-labelledby": "pools-title" }, h("h2", { id: "pools-title" }, "Pools"), wide("All pools", table));
  }

  show(all: Pools, shown: Pool[], selected: string): void {
    this.all = all;
    this.selected = selected;
    // Where one namespace is chosen, its name in each row says nothing.
    mark(this.element, "data-one", new Set(all.pools.map((p) => p.namespace)).size === 1 ? "" : null);
    this.rows.show(shown);
  }
}
