// SPDX-License-Identifier: Apache-2.0

import type { Pool, Sample } from "./api";

export interface Point {
  at: number; // in seconds since 1970
  value: Sample;
}

const recent = 5 * 60;
const hour = 60 * 60;

/**
 * Past joins what the operator remembers of pools, a sample each ten seconds, with what this page saw since it was opened,
 * one each second.
 */
export class Past {
  private remembered = new Map<string, Point[]>();
  private seen = new Map<string, Point[]>();

  add(pools: Pool[], now: number, period: number): void {
    const names = new Set(pools.map(nameOf));
    for (const known of [this.remembered, this.seen])
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
    for (const p of pools) {
      const name = nameOf(p);
      if (p.samples && p.until) {
        const until = Date.parse(p.until) / 1000;
        const n = p.samples.length;
        this.remembered.set(name, p.samples.map((value, i) => ({ at: until - (n - 1 - i) * period, value })));
      }
      const seen = this.seen.get(name) ?? [];
      const last = seen.at(-1);
      if (!last || now > last.at) seen.push({ at: now, value: [p.idle, p.busy, p.starting, p.waiting] });
      while (seen[0] && seen[0].at < now - recent) seen.shift();
      this.seen.set(name, seen);
    }
  }

  /** of is what is known of a pool's last seconds, oldest first. */
  of(pool: string, now: number, seconds: number): Point[] {
    const seen = this.seen.get(pool) ?? [];
    const first = seen[0]?.at ?? Infinity;
    const older = (this.remembered.get(pool) ?? []).filter((p) => p.at < first);
    return [...older, ...seen].filter((p) => p.at >= now - seconds);
  }

  /** short says whether so little is remembered that an hour would be mostly empty. */
  short(pool: string): boolean {
    return (this.remembered.get(pool)?.length ?? 0) < 60;
  }
}

export const nameOf = (p: { namespace: string; name: string }): string => `${p.namespace}/${p.name}`;

export const ranges = { recent, hour };
