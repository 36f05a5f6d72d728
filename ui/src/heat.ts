// SPDX-License-Identifier: Apache-2.0

import uPlot from "uplot";
import type { Minute } from "./api";
import { h, say, th, wide } from "./dom";
import { duration, hourMinute } from "./format";
import { colour, onTheme } from "./theme";

const height = 240;
const fewestMinutes = 15;
const fewestBuckets = 7;

/** HeatChart draws how long launches took: minutes across, latencies up, and how many as colour. */
export class HeatChart {
  readonly element: HTMLElement;
  private plot: uPlot | undefined;
  private box = h("div", { class: "plot", "aria-hidden": "true" });
  private told = h("p", { class: "legend" }, "");
  private body = h("tbody");
  private details = h("details", {}, h("summary", {}, "These numbers as a table"));
  private minutes: Minute[] = [];
  private bounds: number[] = [];
  private most = 0;
  private fill = "";

  constructor() {
    const table = h("table", {}, h("caption", { class: "hidden" }, "Launches by minute and latency, the newest first"),
      h("thead", {}, h("tr", {}, th("Minute"), th("Launches", "num"), th("Of which took"))), this.body);
    this.details.append(wide("Latencies by minute, as a table", table));
    this.details.addEventListener("toggle", () => this.tabulate());
    this.element = h("section", { class: "card", "aria-labelledby": "heat-title" },
      h("div", { class: "head" }, h("h3", { id: "heat-title" }, "Launch latency")), this.told, this.box, this.details);
    new ResizeObserver(() => this.resize()).observe(this.box);
    onTheme(() => this.rebuild());
  }

  show(minutes: Minute[], bounds: number[], now: number): void {
    this.minutes = minutes;
    this.bounds = bounds;
    this.most = Math.max(0, ...minutes.flatMap((m) => m.latencies));
    if (!this.plot) this.rebuild();
    const used = bounds.map((_, i) => i).concat(bounds.length).filter((i) => minutes.some((m) => m.latencies[i]));
    let low = Math.max(0, (used[0] ?? 4) - 1), high = Math.min(bounds.length + 1, (used.at(-1) ?? 8) + 2);
    while (high - low < fewestBuckets) high <= bounds.length ? high++ : low--;
    const end = Math.floor(now / 60) * 60 + 60;
    const first = minutes.find((m) => m.latencies.some((n) => n > 0));
    const begin = Math.min(end - fewestMinutes * 60, first ? Date.parse(first.begin) / 1000 : end);
    this.plot?.batch(() => {
      this.plot?.setData([[begin, end], [low, high]], false);
      this.plot?.setScale("x", { min: begin, max: end });
      this.plot?.setScale("y", { min: low, max: high });
    });
    this.plot?.redraw();
    this.tell();
    this.tabulate();
  }

  /** tell says what is under the pointer, or what there is in all. */
  private tell(): void {
    const p = this.plot;
    const { left = -1, top = -1 } = p?.cursor ?? {};
    if (p && left >= 0 && top >= 0) {
      const at = p.posToVal(left, "x"), bucket = Math.floor(p.posToVal(top, "y"));
      const m = this.minutes.find((one) => Date.parse(one.begin) / 1000 === Math.floor(at / 60) * 60);
      say(this.told, `${hourMinute(new Date(Math.floor(at / 60) * 60_000))}, ${this.span(bucket)}: ${m?.latencies[bucket] ?? 0}`);
      return;
    }
    const all = this.minutes.flatMap((m) => m.latencies).reduce((a, b) => a + b, 0);
    say(this.told, all === 0 ? "No warm launch in the last hour." : `${all} warm launches in the last hour, at most ${this.most} in one cell. Stronger is more.`);
  }

  private span(bucket: number): string {
    const upper = this.bounds[bucket];
    return upper === undefined ? `over ${duration(this.bounds.at(-1))}` : `up to ${duration(upper)}`;
  }

  private tabulate(): void {
    if (!this.details.open) return;
    const rows = this.minutes.filter((m) => m.latencies.some((n) => n > 0)).toReversed();
    this.body.replaceChildren(...rows.map((m) => h("tr", {},
      h("td", {}, hourMinute(new Date(m.begin))),
      h("td", { class: "num" }, String(m.latencies.reduce((a, b) => a + b, 0))),
      h("td", {}, m.latencies.map((n, i) => (n ? `${this.span(i)}: ${n}` : "")).filter(Boolean).join(", ")))));
  }

  private draw(u: uPlot): void {
    const { ctx } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.fillStyle = this.fill;
    for (const m of this.minutes) {
      const at = Date.parse(m.begin) / 1000;
      const left = u.valToPos(at, "x", true), right = u.valToPos(at + 60, "x", true);
      m.latencies.forEach((n, i) => {
        if (n === 0) return;
        const top = u.valToPos(i + 1, "y", true), bottom = u.valToPos(i, "y", true);
        ctx.globalAlpha = 0.25 + 0.75 * Math.sqrt(n / this.most);
        ctx.fillRect(left + 1, top + 1, Math.max(1, right - left - 2), bottom - top - 2);
      });
    }
    ctx.restore();
  }

  private rebuild(): void {
    this.plot?.destroy();
    this.fill = colour("heat");
    const text = colour("muted"), line = colour("line"), font = "12px system-ui, sans-serif";
    const axis = { stroke: text, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    this.plot = new uPlot({
      width: Math.max(200, this.box.clientWidth), height, legend: { show: false }, padding: [8, 18, 0, 0],
      scales: { x: { time: true, auto: false }, y: { auto: false } },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map((t) => hourMinute(new Date(t * 1000))), space: 70, size: 32 },
        {
          ...axis, size: 58, incrs: [1, 2, 4], space: 22,
          // The line between buckets i-1 and i is the upper bound of the first.
          values: (_, ticks) => ticks.map((t) => (t === 0 ? "0" : this.bounds[t - 1] === undefined ? "" : duration(this.bounds[t - 1]))),
        },
      ],
      cursor: { drag: { x: false, y: false }, points: { show: false } },
      hooks: { draw: [(u) => this.draw(u)], setCursor: [() => this.tell()] },
      series: [{}, { paths: () => null, points: { show: false } }],
    }, [[], []], this.box);
    if (this.bounds.length) this.show(this.minutes, this.bounds, Date.now() / 1000);
  }

  private resize(): void {
    if (this.plot && this.box.clientWidth > 0) this.plot.setSize({ width: this.box.clientWidth, height });
  }
}
