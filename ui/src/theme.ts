// SPDX-License-Identifier: Apache-2.0

import { byId } from "./dom";

const key = "hotstandbyjob-theme";
const listeners: (() => void)[] = [];

/** onTheme calls back when colours have changed: what is drawn on a canvas must be drawn anew. */
export const onTheme = (f: () => void): number => listeners.push(f);

const changed = (): void => listeners.forEach((f) => f());

/** startTheme takes the system's theme, or the one that was chosen before. */
export function startTheme(): void {
  const choice = byId<HTMLSelectElement>("theme");
  const apply = (): void => {
    document.documentElement.dataset["theme"] = choice.value;
    changed();
  };
  choice.value = localStorage.getItem(key) ?? "auto";
  if (!choice.value) choice.value = "auto";
  apply();
  choice.addEventListener("change", () => {
    localStorage.setItem(key, choice.value);
    apply();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

/** colour is what a variable of the style sheet is at the moment. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
