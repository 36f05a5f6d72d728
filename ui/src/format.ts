// SPDX-License-Identifier: Apache-2.0

/** duration writes seconds with the unit that fits. */
export function duration(seconds: number | undefined): string {
  if (seconds === undefined) return "–";
  if (seconds === 0) return "0 ms";
  if (seconds < 0.00995) return `${trim(seconds * 1000, 1)} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${trim(seconds, 1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

function trim(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.0+$/, "");
}

export const percent = (ratio: number | undefined): string => (ratio === undefined ? "–" : `${trim(ratio * 100, 1)} %`);

export const rate = (perSecond: number): string =>
  perSecond === 0 ? "0" : perSecond < 0.095 ? perSecond.toFixed(2) : trim(perSecond, 1);

export const hours = (seconds: number): string => `${(seconds / 3600).toFixed(seconds < 36_000 ? 2 : 0)} h`;

export const money = (amount: number): string => amount.toFixed(amount < 10 ? 3 : 2);

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

export const time = (at: Date): string => clock.format(at);
export const hourMinute = (at: Date): string => minute.format(at);
