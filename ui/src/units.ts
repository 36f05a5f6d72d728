// SPDX-License-Identifier: Apache-2.0

import uPlot from "uplot";
import { h, say, th, wide } from "./dom";
import { hourMinute, time } from "./format";
import type { Point } from "./past";
import { ranges } from "./past";
import { colour, onTheme } from "./theme";

const names = ["idle", "busy", "starting", "waiting"] as const;
// What is stacked, from the bottom up, by its place in a sample; waiting pods aren't units, and are a line of their own.
const stacked = [1, 0, 2] as const;
const height = 240;

/** UnitsChart draws a pool's units over time, and has the same as a table. */
export class UnitsChart {
  readonly element: HTMLElement;
  private plot: uPlot | undefined;
  private box = h("div", { class: "plot", "aria-hidden": "true" });
  private values = new Map(names.map((n) => [n, h("b", {}, "0")]));
  private when = h("span", { class: "when" }, "now");
  private body = h("tbody");
  private details = h("details", {}, h("summary", {}, "These numbers as a table"));
  private range = h("select", {}, h("option", { value: "hour" }, "last hour"), h("option", { value: "recent" }, "last 5 minutes"));
  private chosen = false;
  private points: Point[] = [];
  private now = 0;

  constructor(private again: () => void) {
    const legend = h("p", { class: "legend" }, ...names.flatMap((n) => [
      h("span", {}, h("i", { class: `swatch ${n}`, "aria-hidden": "true" }), `${n} `, this.values.get(n) ?? ""), " ",
    ]), this.when);
    const table = h("table", {}, h("caption", { class: "hidden" }, "Units and waiting pods, the newest first"),
      h("thead", {}, h("tr", {}, th("Time"), ...names.map((n) => th(n, "num")))), this.body);
    this.details.append(wide("Units over time, as a table", table));
    this.details.addEventListener("toggle", () => this.tabulate());
    this.range.addEventListener("change", () => {
      this.chosen = true;
      this.again();
    });
    this.element = h("section", { class: "card units", "aria-labelledby": "units-title" },
      h("div", { class: "head" }, h("h3", { id: "units-title" }, "Units"), h("label", {}, "Range ", this.range)),
      legend, this.box, this.details);
    new ResizeObserver(() => this.resize()).observe(this.box);
    onTheme(() => this.rebuild());
  }

  /** seconds is how much of the past is wanted. */
  seconds(short: boolean): number {
    if (!this.chosen) this.range.value = short ? "recent" : "hour";
    return this.range.value === "recent" ? ranges.recent : ranges.hour;
  }

  reset(): void {
    this.chosen = false;
  }

  show(points: Point[], now: number, seconds: number): void {
    this.points = points;
    this.now = now;
    if (!this.plot) this.rebuild();
    const xs = points.map((p) => p.at);
    const ys: number[][] = [];
    let below = points.map(() => 0);
    for (const i of stacked) {
      below = below.map((b, k) => b + (points[k]?.value[i] ?? 0));
      ys.push(below);
    }
    this.plot?.batch(() => {
      this.plot?.setData([xs, ...ys, points.map((p) => p.value[3] || null)], false);
      this.plot?.setScale("x", { min: now - seconds, max: now });
      const most = Math.max(4, ...(ys.at(-1) ?? []), ...points.map((p) => p.value[3]));
      this.plot?.setScale("y", { min: 0, max: most * 1.08 });
    });
    this.legend();
    if (this.details.open) this.tabulate();
  }

  private legend(): void {
    const at = this.plot?.cursor.idx;
    const hovered = at === null || at === undefined ? undefined : this.points[at];
    const point = hovered ?? this.points.at(-1);
    say(this.when, hovered ? `at ${time(new Date(hovered.at * 1000))}` : "now");
    names.forEach((n, i) => say(this.values.get(n) ?? this.when, String(point?.value[i] ?? 0)));
  }

  private tabulate(): void {
    if (!this.details.open) return;
    const rows: Point[] = [];
    for (const p of this.points.toReversed()) {
      const last = rows.at(-1);
      if (!last || last.at - p.at >= 9.5) rows.push(p);
      if (rows.length === 60) break;
    }
    this.body.replaceChildren(...rows.map((p) => h("tr", {},
      h("td", {}, time(new Date(p.at * 1000))), ...p.value.map((v) => h("td", { class: "num" }, String(v))))));
  }

  private rebuild(): void {
    this.plot?.destroy();
    const text = colour("muted"), line = colour("line");
    const font = "12px system-ui, sans-serif";
    const stepped = uPlot.paths.stepped?.({ align: 1 });
    const area = (i: number): uPlot.Series => ({
      label: names[i] ?? "", stroke: colour(names[i] ?? ""), fill: colour(`${names[i]}-fill`), width: 1.5, points: { show: false },
      ...(stepped ? { paths: stepped } : {}),
    });
    const axis = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    this.plot = new uPlot({
      width: Math.max(200, this.box.clientWidth), height, legend: { show: false }, padding: [8, 18, 0, 0],
      scales: { x: { time: true, auto: false }, y: { auto: false } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((t) => hourMinute(new Date(t * 1000))), space: 70, size: 32 },
        { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 50_000] },
      ],
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      hooks: { setCursor: [() => this.legend()] },
      bands: [
        { series: [3, 2], fill: colour("starting-fill") },
        { series: [2, 1], fill: colour("idle-fill") },
      ],
      series: [
        {}, ...stacked.map(area),
        { label: "waiting", stroke: colour("waiting"), width: 2.5, dash: [6, 3], points: { show: false }, ...(stepped ? { paths: stepped } : {}) },
      ],
    }, [[], [], [], [], []], this.box);
    if (this.now) this.again();
  }

  private resize(): void {
    if (this.plot && this.box.clientWidth > 0) this.plot.setSize({ width: this.box.clientWidth, height });
  }
}
