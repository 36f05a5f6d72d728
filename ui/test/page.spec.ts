// SPDX-License-Identifier: Apache-2.0

import AxeBuilder from "@axe-core/playwright";
import { expect, test, type Browser, type BrowserContextOptions, type Page } from "@playwright/test";
import { mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const env = (name: string): string => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: this is run by TestPageShowsABurst in test/integration`);
  return value;
};
const namespace = env("HSJ_NAMESPACE");
const burst = 100;
const images = fileURLToPath(new URL("../../docs/img/", import.meta.url));

/** open is the page of somebody who may see it; whatever a browser complains about fails the test. */
async function open(browser: Browser, options: BrowserContextOptions = {}, token = env("HSJ_TOKEN"), hash = `#namespace=${namespace}`): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: env("HSJ_PAGE"), ...options });
  await context.addInitScript((t) => {
    if (t && !sessionStorage.getItem("hotstandbyjob-token")) sessionStorage.setItem("hotstandbyjob-token", t);
  }, token);
  const page = await context.newPage();
  page.on("pageerror", (err) => complaints.push(err.message));
  page.on("console", (m) => {
    if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) complaints.push(m.text());
  });
  await page.goto(`/${hash}`);
  return page;
}

let complaints: string[] = [];
test.beforeEach(() => (complaints = []));
test.afterEach(() => expect(complaints, "what the browser complained about").toEqual([]));

/** tile is the number of one of the selected pool's tiles. */
const tile = (page: Page, name: string) => page.locator(".tiles .card", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("b");
const count = async (page: Page, name: string): Promise<number> => Number(await tile(page, name).textContent());
const live = (page: Page) => expect(page.getByRole("status")).toHaveText("Live");
const pool = (page: Page, name: string) => page.getByRole("table").first().getByRole("link", { name: new RegExp(`^${name}\\b`) });

async function accessible(page: Page): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]).analyze();
  expect(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target).join(" ")}`)).toEqual([]);
}

/** picture keeps a screenshot for the documentation. */
async function picture(page: Page, name: string, height: number): Promise<void> {
  mkdirSync(images, { recursive: true });
  const path = `${images}page-${name}.png`;
  const width = page.viewportSize()?.width ?? 0;
  await page.screenshot({ path, clip: { x: 0, y: 0, width, height }, fullPage: true, animations: "disabled" });
  expect(statSync(path).size, `${name}.png stays small`).toBeLessThan(200_000);
}

test("a burst of launches appears live", async ({ browser }) => {
  const page = await open(browser, { viewport: { width: 1280, height: 900 }, colorScheme: "light" });
  await live(page);
  await pool(page, "arena").click();
  await expect(page.getByRole("heading", { level: 2, name: `arena ${namespace}` })).toBeVisible();
  const before = await count(page, "Busy");
  const answered = fetch(`${env("HSJ_BURST")}?name=burst&n=${burst}`, { method: "POST" });
  // Without a reload, and while it happens: how many are busy at once depends on how fast the machine is.
  await expect.poll(() => count(page, "Busy"), { intervals: [250] }).toBeGreaterThanOrEqual(before + burst / 5);
  const launches = page.getByRole("region", { name: "Last launches", exact: true }).getByRole("table");
  await expect(launches.getByRole("rowheader", { name: /^burst-\d{3}$/ }).first()).toBeVisible();
  await expect(launches.getByRole("img", { name: /queue .+, claim .+, deliver .+, begin .+/ }).first()).toBeVisible();
  expect((await answered).status).toBe(204);
  await expect(tile(page, "Median")).toHaveText(/\d (ms|s)$/);
  // The history follows within its period: all of them have started in pods of the pool, and are in the heat map.
  const started = async (how: string): Promise<number> =>
    Number(await page.getByRole("region", { name: "How launches started" }).getByRole("row", { name: new RegExp(`^${how}`) }).getByRole("cell").textContent());
  await expect.poll(async () => (await started("warm")) + (await started("waited"))).toBeGreaterThanOrEqual(burst);
  await expect(page.getByText(/warm launches in the last hour/)).toBeVisible();
  // What the charts show is there as tables, too.
  await page.getByText("These numbers as a table").first().click();
  const table = page.getByRole("region", { name: "Units over time, as a table" });
  await expect.poll(async () => Math.max(...(await table.locator("tbody td:nth-child(3)").allTextContents()).map(Number))).toBeGreaterThanOrEqual(before + burst / 5);
  await page.getByText("These numbers as a table").first().click();
  await page.context().close();
});

test("cold starts have their reasons", async ({ browser }) => {
  const page = await open(browser);
  await live(page);
  await pool(page, "lobby").click();
  await fetch(`${env("HSJ_BURST")}?name=cold&pool=lobby&n=12`, { method: "POST" });
  const reasons = page.getByRole("region", { name: "Why launches started cold" });
  await expect(reasons.getByRole("rowheader", { name: /^no pod was idle/ })).toBeVisible();
  await page.context().close();
});

for (const scheme of ["light", "dark"] as const) {
  test(`it is accessible, and a picture: ${scheme}`, async ({ browser }) => {
    const page = await open(browser, { viewport: { width: 1280, height: 900 }, colorScheme: scheme, deviceScaleFactor: 1 }, env("HSJ_TOKEN"), `#namespace=${namespace}&pool=${namespace}%2Farena`);
    await live(page);
    await expect(page.getByText(/warm launches in the last hour/)).toBeVisible();
    const dark = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    expect(dark).toBe(scheme === "dark" ? "rgb(14, 17, 22)" : "rgb(244, 246, 248)");
    await accessible(page);
    await page.waitForTimeout(3000); // some seconds of live values
    await picture(page, scheme, 1400);
    await page.context().close();
  });
}

test("the theme can be switched, and is remembered", async ({ browser }) => {
  const page = await open(browser, { colorScheme: "light" });
  await live(page);
  await page.getByLabel("Theme").selectOption("dark");
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  expect(await background()).toBe("rgb(14, 17, 22)");
  await page.reload();
  await expect(page.getByLabel("Theme")).toHaveValue("dark");
  expect(await background()).toBe("rgb(14, 17, 22)");
  await page.context().close();
});

test("it fits a phone", async ({ browser }) => {
  const page = await open(browser, { viewport: { width: 360, height: 740 }, colorScheme: "light", hasTouch: true, isMobile: true, deviceScaleFactor: 1.5 }, env("HSJ_TOKEN"), `#namespace=${namespace}&pool=${namespace}%2Farena`);
  await live(page);
  await expect(page.getByText(/warm launches in the last hour/)).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await accessible(page);
  await page.waitForTimeout(3000);
  await picture(page, "phone", 1160);
  await page.context().close();
});

test("it can be used by keyboard", async ({ browser }) => {
  const page = await open(browser);
  await live(page);
  const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent?.trim() || document.activeElement?.getAttribute("aria-label"));
  const order: (string | null | undefined)[] = [];
  for (let i = 0; i < 6; i++) {
    await page.keyboard.press("Tab");
    order.push(await focused());
    if (i > 0) expect(await page.evaluate(() => getComputedStyle(document.activeElement ?? document.body).outlineStyle), "focus can be seen").not.toBe("none");
  }
  expect(order.slice(0, 4)).toEqual(["Skip to the pools", "namespace", "filter", "theme"]);
  expect(order[5]).toContain("arena"); // after the table's own frame, which can be scrolled
  await pool(page, "workers").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 2, name: `workers ${namespace}` })).toBeVisible();
  // The focus stays where it is while numbers change.
  await page.waitForTimeout(2500);
  expect(await focused()).toContain("workers");
  await page.getByLabel("Pool", { exact: true }).fill("lob");
  await expect(page.getByRole("heading", { level: 2, name: `lobby ${namespace}` })).toBeVisible();
  await expect(pool(page, "arena")).toHaveCount(0);
  await page.context().close();
});

test("it asks for a token", async ({ browser }) => {
  const page = await open(browser, {}, "", "");
  await expect(page.getByRole("heading", { name: "A token is needed" })).toBeVisible();
  await expect(page.getByText("kubectl create token", { exact: false }).first()).toBeVisible();
  await accessible(page);
  await page.getByLabel("Token", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Show the pools" }).click();
  await expect(page.getByRole("alert")).toContainText("the token isn't valid");
  await page.getByLabel("Token", { exact: true }).fill(env("HSJ_STRANGER"));
  await page.getByRole("button", { name: "Show the pools" }).click();
  await expect(page.getByRole("alert")).toContainText("may not list hotstandbyjobs");
  await page.getByLabel("Token", { exact: true }).fill(env("HSJ_TOKEN"));
  await page.getByRole("textbox", { name: "Namespace" }).fill(namespace);
  await page.getByRole("button", { name: "Show the pools" }).click();
  await live(page);
  await expect(pool(page, "arena")).toBeVisible();
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain("token");
  await page.context().close();
});

test("it says so when the operator doesn't answer, and comes back", async ({ browser }) => {
  const page = await open(browser);
  await live(page);
  await page.route("**/api/**", (route) => route.abort());
  await expect(page.getByRole("status")).toContainText("The operator hasn't answered since");
  await expect(page.locator("main.stale")).toBeVisible();
  await expect(pool(page, "arena")).toBeVisible();
  await accessible(page);
  await page.unroute("**/api/**");
  await page.getByRole("button", { name: "Try now" }).click();
  await live(page);
  await expect(page.locator("main.stale")).toHaveCount(0);
  await page.context().close();
});

test("it says how to begin where there is no pool", async ({ browser }) => {
  const page = await open(browser);
  await page.route("**/api/v1/pools*", (route) => route.fulfill({ json: { now: new Date().toISOString(), periodSeconds: 10, bounds: [1], pools: [] } }));
  await page.reload();
  await expect(page.getByRole("heading", { name: "No pools yet" })).toBeVisible();
  await accessible(page);
  await page.context().close();
});
