// SPDX-License-Identifier: Apache-2.0

import "uplot/dist/uPlot.min.css";
import "./style.css";
import type { Pool, Pools } from "./api";
import { getLaunches, getPools, Refused, token } from "./api";
import { Details } from "./details";
import { byId, h } from "./dom";
import { mostLaunches } from "./launches";
import { nameOf, Past } from "./past";
import { PoolsTable } from "./table";
import { startTheme } from "./theme";
import { Trouble } from "./trouble";
import { hashOf, view } from "./view";

const second = 1000;
const historyEvery = 10; // seconds
const longestPause = 30; // seconds between two tries

const content = byId("content");
const namespaces = byId<HTMLSelectElement>("namespace");
const filter = byId<HTMLInputElement>("filter");

/** Page polls the operator and shows what it answers. */
class Page {
  private trouble = new Trouble();
  private table = new PoolsTable();
  private details = new Details();
  private past = new Past();
  private last: Pools | undefined;
  private answered: Date | undefined;
  private history = 0; // when it was last asked for
  private failures = 0;
  private timer: number | undefined;
  private asking = false;
  private refused = false;

  start(): void {
    namespaces.addEventListener("change", () => (location.hash = hashOf({ namespace: namespaces.value, pool: "" })));
    filter.addEventListener("input", () => this.draw());
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    addEventListener("hashchange", () => {
      this.draw();
      this.now();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.now();
    });
    this.now();
  }

  /** now asks at once, whatever was planned. */
  private now(): void {
    this.history = 0;
    this.failures = 0;
    this.later(0);
  }

  private later(milliseconds: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.tick(), milliseconds);
  }

  private async tick(): Promise<void> {
    if (this.asking || document.hidden) return; // whoever looks again asks again
    this.asking = true;
    const wanted = view(), begun = Date.now();
    try {
      const history = begun - this.history >= historyEvery * second - second / 2;
      const all = await getPools(wanted.namespace, history);
      if (history) this.history = begun;
      this.arrived(all);
      const shown = this.selected();
      if (shown) this.details.showLaunches(nameOf(shown), await getLaunches(shown.namespace, shown.name, mostLaunches));
      this.failures = 0;
      this.answered = new Date();
      this.trouble.none();
      this.later(wanted.namespace === view().namespace ? Math.max(0, begun + second - Date.now()) : 0);
    } catch (err) {
      this.failed(err);
    } finally {
      this.asking = false;
    }
  }

  private failed(err: unknown): void {
    if (err instanceof Refused) {
      this.refused = true;
      content.replaceChildren();
      this.trouble.refused(err, view().namespace, (value, namespace) => {
        token.set(value);
        const hash = hashOf({ namespace, pool: "" });
        if (hash === (location.hash || "#")) this.now();
        else location.hash = hash;
      });
      return;
    }
    this.failures++;
    this.wait(Math.min(longestPause, 2 ** (this.failures - 1)), err instanceof Error ? err.message : String(err));
  }

  /** wait counts down to the next try. */
  private wait(seconds: number, why: string): void {
    this.trouble.gone(this.answered, why, seconds, () => this.now());
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (seconds > 1 ? this.wait(seconds - 1, why) : void this.tick()), second);
  }

  private arrived(all: Pools): void {
    const before = new Map(this.last?.pools.map((p) => [nameOf(p), p]));
    for (const p of all.pools) p.minutes ??= before.get(nameOf(p))?.minutes;
    this.last = all;
    this.refused = false;
    this.past.add(all.pools, Date.parse(all.now) / second, all.periodSeconds);
    this.draw();
  }

  private shown(): Pool[] {
    const wanted = filter.value.trim().toLowerCase();
    return (this.last?.pools ?? []).filter((p) => nameOf(p).toLowerCase().includes(wanted));
  }

  /** selected is the pool whose details are shown. */
  private selected(): Pool | undefined {
    const shown = this.shown();
    return shown.find((p) => nameOf(p) === view().pool) ?? shown[0];
  }

  private draw(): void {
    const all = this.last;
    if (!all || this.refused) return;
    this.offer(all);
    if (all.pools.length === 0) {
      if (!content.querySelector(".empty")) content.replaceChildren(empty());
      return;
    }
    const shown = this.shown(), selected = this.selected();
    if (!this.table.element.isConnected) content.replaceChildren(this.table.element);
    this.table.show(all, shown, selected ? nameOf(selected) : "");
    if (!selected) {
      this.details.element.remove();
      return;
    }
    if (!this.details.element.isConnected) content.append(this.details.element);
    this.details.show(selected, all, this.past);
  }

  /** offer has all namespaces that were seen to choose from. */
  private offer(all: Pools): void {
    const chosen = view().namespace;
    const known = new Set([...namespaces.options].map((o) => o.value));
    for (const name of new Set([chosen, ...all.pools.map((p) => p.namespace)])) {
      if (known.has(name)) continue;
      namespaces.append(h("option", { value: name }, name));
    }
    if (namespaces.value !== chosen && document.activeElement !== namespaces) namespaces.value = chosen;
  }
}

function empty(): HTMLElement {
  return h("section", { class: "card empty", "aria-labelledby": "empty-title" },
    h("h2", { id: "empty-title" }, "No pools yet"),
    h("p", {}, "A pool is a HotStandbyJob: pods that are ready before there is work for them. This makes one of two pods:"),
    h("pre", {}, h("code", {}, `kubectl apply -f - <<'EOF'
apiVersion: apps.paia.tech/v1alpha1
kind: HotStandbyJob
metadata:
  name: hello
spec:
  assignment: Push
  idleTarget: 2
  jobTemplate:
    template:
      spec:
        restartPolicy: Never
        containers:
        - name: main
          image: busybox
          command: ["sh", "-c", "sleep infinity"]
EOF`)));
}

startTheme();
new Page().start();
