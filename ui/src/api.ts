// SPDX-License-Identifier: Apache-2.0

// The operator's API, as internal/ui/response.go has it. All durations are in seconds.

export interface Minute {
  begin: string;
  starts: Partial<Record<Start, number>>;
  reasons: Record<string, number>;
  latencies: number[];
}

/** Idle, busy, starting, waiting. */
export type Sample = [number, number, number, number];

export type Start = "warm" | "waited" | "cold" | "rejected";

export interface Pool {
  namespace: string;
  name: string;
  assignment: string;
  layout?: string;
  mode?: string;
  idleTarget: number;
  desired: number;
  maxReplicas?: number;
  idle: number;
  busy: number;
  starting: number;
  unknown: number;
  waiting: number;
  ready: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  launchesPerSecond: number;
  hitRatio?: number;
  p50?: number;
  p99?: number;
  idleSeconds: number;
  samples?: Sample[];
  until?: string;
  minutes?: Minute[];
}

export interface Pools {
  now: string;
  periodSeconds: number;
  bounds: number[];
  pricePerPodHour?: number;
  pools: Pool[];
}

export interface Launch {
  namespace: string;
  pool: string;
  job: string;
  pod: string;
  start: Start;
  reason: string;
  seen: string;
  started: string;
  queue: number;
  claim: number;
  deliver: number;
  begin: number;
  total: number;
}

/** Refused is an answer that trying again doesn't mend: 400, 401 or 403. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const tokenKey = "hotstandbyjob-token";
const patience = 10_000;

// The token lives as long as the tab, and nowhere else.
export const token = {
  get: (): string => sessionStorage.getItem(tokenKey) ?? "",
  set: (value: string): void => (value ? sessionStorage.setItem(tokenKey, value) : sessionStorage.removeItem(tokenKey)),
};

async function get<T>(path: string, query: Record<string, string>): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  // `kubectl hsj ui` adds the token itself.
  if (token.get()) headers["Authorization"] = `Bearer ${token.get()}`;
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== ""));
  const answer = await fetch(`./api/v1/${path}?${asked}`, {
    headers,
    cache: "no-store",
    credentials: "omit",
    signal: AbortSignal.timeout(patience),
  });
  if (answer.ok) return (await answer.json()) as T;
  const text = await answer.json().then(
    (body: { error?: string }) => body.error ?? answer.statusText,
    () => answer.statusText,
  );
  if ([400, 401, 403].includes(answer.status)) throw new Refused(answer.status, text);
  throw new Error(text || `status ${answer.status}`);
}

export const getPools = (namespace: string, history: boolean): Promise<Pools> =>
  get<Pools>("pools", { namespace, history: String(history) });

export const getLaunches = async (namespace: string, pool: string, limit: number): Promise<Launch[]> =>
  (await get<{ launches: Launch[] }>("launches", { namespace, pool, limit: String(limit) })).launches;
