// SPDX-License-Identifier: Apache-2.0

import type { Launch } from "./api";
import { h, mark, Rows, th, wide } from "./dom";
import { duration, time } from "./format";

const phases = ["queue", "claim", "deliver", "begin"] as const;
const means: Record<(typeof phases)[number], string> = {
  queue: "until a pod was found", claim: "the write that made it the Job's", deliver: "until its command was sent", begin: "until it ran",
};

/** most is how many launches are asked for. */
export const mostLaunches = 25;

/** LaunchesView lists a pool's last launches with what took how long. */
export class LaunchesView {
  readonly element: HTMLElement;
  private rows: Rows<Launch>;
  private none = h("p", {}, "No launch yet.");

  constructor() {
    const legend = h("p", { class: "legend" }, ...phases.flatMap((p) => [
      h("span", {}, h("i", { class: `swatch phase-${p}`, "aria-hidden": "true" }), p, " ", h("small", {}, means[p])), " ",
    ]));
    const body = h("tbody");
    const table = h("table", { class: "launches" }, h("caption", { class: "hidden" }, "The last launches, the newest first"),
      h("thead", {}, h("tr", {}, th("Seen"), th("Job"), th("Pod", "broad"), th("Start"), th("Phases"), th("Total", "num"))), body);
    this.rows = new Rows<Launch>(body, (l) => `${l.seen} ${l.job} ${l.pod}`, (l) => {
      const parts = phases.map((p) => h("i", { class: `phase-${p}` }));
      const bar = h("div", { class: "phases", role: "img" }, ...parts);
      const start = h("td", {}, h("span", { class: "chip", "data-kind": l.start }, l.start));
      if (l.reason) start.append(" ", h("small", {}, l.reason));
      const words = phases.map((p) => `${p} ${duration(l[p])}`).join(", ");
      mark(bar, "aria-label", words);
      mark(bar, "title", words);
      return {
        element: h("tr", {},
          h("td", {}, time(new Date(l.seen))), h("th", { scope: "row" }, l.job), h("td", { class: "broad" }, l.pod || "–"), start,
          h("td", { class: "phase" }, l.start === "rejected" ? "–" : bar), h("td", { class: "num" }, l.start === "rejected" ? "–" : duration(l.total))),
        update: (now) => {
          // A bar shows shares, however long the launch took: in a burst the slowest would leave nothing of the others.
          // Shares that add up to less than 1 would leave a part of the bar empty.
          parts.forEach((e, i) => (e.style.flexGrow = String((now[phases[i] ?? "queue"] / (now.total || 1)) * 1000)));
        },
      };
    });
    this.element = h("section", { class: "card launches", "aria-labelledby": "launches-title" },
      h("h3", { id: "launches-title" }, "Last launches"), legend, this.none, wide("Last launches, one in each row", table));
  }

  show(launches: Launch[]): void {
    mark(this.none, "hidden", launches.length ? "" : null);
    this.rows.show(launches);
  }
}

