// SPDX-License-Identifier: Apache-2.0

import { defineConfig } from "@playwright/test";

// Run by TestPageShowsABurst in test/integration, which says in the environment where the page is.
export default defineConfig({
  testDir: "test",
  workers: 1,
  fullyParallel: false,
  forbidOnly: true,
  timeout: 300_000,
  expect: { timeout: 90_000 },
  reporter: "list",
  use: {
    baseURL: process.env["HSJ_PAGE"],
    ignoreHTTPSErrors: true, // the operator's certificate is its own
    launchOptions: {
      executablePath: process.env["HSJ_CHROMIUM"],
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    },
  },
});
