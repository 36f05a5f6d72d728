// SPDX-License-Identifier: Apache-2.0

import { nameOf } from "./past";

/** View is what is looked at. It is in the address, so that it can be linked to and survives a reload. */
export interface View {
  namespace: string; // empty: all
  pool: string; // namespace/name; empty: the first
}

export function view(): View {
  const q = new URLSearchParams(location.hash.slice(1));
  return { namespace: q.get("namespace") ?? "", pool: q.get("pool") ?? "" };
}

export function hashOf(v: View): string {
  const q = new URLSearchParams();
  if (v.namespace) q.set("namespace", v.namespace);
  if (v.pool) q.set("pool", v.pool);
  return `#${q}`;
}

/** linkTo is the address of a pool's details. */
export const linkTo = (p: { namespace: string; name: string }): string => hashOf({ ...view(), pool: nameOf(p) });
