// SPDX-License-Identifier: Apache-2.0

import { defineConfig } from "vite";

// What is built is embedded in the operator. Addresses are relative, so that the page also works below a proxy's path.
export default defineConfig({
  base: "./",
  build: {
    outDir: "../internal/ui/dist",
    emptyOutDir: true,
    target: "es2023",
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    assetsInlineLimit: 0,
    modulePreload: false,
    license: { fileName: "licenses.md" },
  },
});
