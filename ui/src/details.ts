// SPDX-License-Identifier: Apache-2.0

import type { Launch, Pool, Pools } from "./api";
import { h, mark, say } from "./dom";
import { duration, hours, money, percent, rate } from "./format";
import { HeatChart } from "./heat";
import { LaunchesView } from "./launches";
import type { Past } from "./past";
import { nameOf } from "./past";
import { StartsView } from "./starts";
import { readiness } from "./table";
import { UnitsChart } from "./units";

const tiles: { name: string; text: (p: Pool, all: Pools) => string; note: (p: Pool, all: Pools) => string }[] = [
  { name: "Idle", text: (p) => String(p.idle), note: (p) => `target ${p.idleTarget}` },
  { name: "Busy", text: (p) => String(p.busy), note: (p) => (p.maxReplicas === undefined ? "units" : `at most ${p.maxReplicas} units`) },
  { name: "Starting", text: (p) => String(p.starting), note: (p) => (p.unknown ? `${p.unknown} unknown` : `${p.desired} desired`) },
  { name: "Waiting", text: (p) => String(p.waiting), note: () => "pods lacking" },
  { name: "Launches/s", text: (p) => rate(p.launchesPerSecond), note: () => "last minute" },
  { name: "Median", text: (p) => duration(p.p50), note: (p) => `p99 ${duration(p.p99)}` },
  { name: "Hit ratio", text: (p) => percent(p.hitRatio), note: () => "warm, last hour" },
  {
    name: "Idle time", text: (p) => hours(p.idleSeconds),
    note: (p, all) => (all.pricePerPodHour ? `cost ${money((p.idleSeconds / 3600) * all.pricePerPodHour)}` : "units × time"),
  },
];

/** Details is all that is known of one pool. */
export class Details {
  readonly element: HTMLElement;
  private name = h("span");
  private where = h("small");
  private title = h("h2", { id: "details-title" }, this.name, " ", this.where);
  private state = h("span", { class: "chip" });
  private kind = h("span", { class: "kind" });
  private message = h("p", { class: "message" });
  private values = tiles.map(() => ({ value: h("b"), note: h("small") }));
  private units = new UnitsChart(() => this.drawUnits());
  private heat = new HeatChart();
  private starts = new StartsView();
  private launches = new LaunchesView();
  private shown = "";
  private past: Past | undefined;
  private now = 0;

  constructor() {
    const list = h("dl", { class: "tiles" }, ...tiles.map((t, i) => {
      const { value, note } = this.values[i] ?? { value: "", note: "" };
      return h("div", { class: "card" }, h("dt", {}, t.name), h("dd", {}, value, " ", note));
    }));
    this.element = h("section", { class: "details", "aria-labelledby": "details-title" },
      h("div", { class: "head" }, this.title, this.state, this.kind), this.message, list,
      h("div", { class: "grid" }, this.units.element, this.heat.element, ...this.starts.elements), this.launches.element);
  }

  show(p: Pool, all: Pools, past: Past): void {
    const name = nameOf(p);
    if (name !== this.shown) {
      this.shown = name;
      this.units.reset();
      this.launches.show([]);
    }
    this.past = past;
    this.now = Date.parse(all.now) / 1000;
    say(this.name, p.name);
    say(this.where, p.namespace);
    const r = readiness(p);
    say(this.state, r.text);
    mark(this.state, "data-kind", r.kind);
    say(this.kind, [p.assignment, p.layout, p.mode].filter(Boolean).join(" · "));
    say(this.message, p.message);
    tiles.forEach((t, i) => {
      const cell = this.values[i];
      if (!cell) return;
      say(cell.value, t.text(p, all));
      say(cell.note, t.note(p, all));
    });
    this.drawUnits();
    if (p.minutes) {
      this.heat.show(p.minutes, all.bounds, this.now);
      this.starts.show(p.minutes);
    }
  }

  showLaunches(pool: string, launches: Launch[]): void {
    if (pool === this.shown) this.launches.show(launches);
  }

  private drawUnits(): void {
    if (!this.past) return;
    const seconds = this.units.seconds(this.past.short(this.shown));
    this.units.show(this.past.of(this.shown, this.now, seconds), this.now, seconds);
  }
}
