import { svelte } from "@sveltejs/vite-plugin-svelte";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Where `npm run dev` finds the server.
const server = process.env["CTI_WEB"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  root: here("."),
  base: "/",
  plugins: [svelte()],
  build: {
    outDir: here("../static"),
    emptyOutDir: true,
    // light-dark() and friends are used as they are; browsers below these do not matter to a contact centre's own desks.
    target: ["chrome123", "edge123", "firefox128", "safari17.5"],
    assetsInlineLimit: 0, // the pages' policy allows no data: addresses
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: {
        index: here("index.html"),
        agent: here("agent.html"),
        supervisor: here("supervisor.html"),
        call: here("call.html"),
        flows: here("flows.html"),
        work: here("work.html"),
        contact: here("contact.html"),
        customers: here("customers.html"),
        prompts: here("prompts.html"),
        wall: here("wall.html"),
        reports: here("reports.html"),
        quality: here("quality.html"),
        account: here("account.html"),
      },
    },
  },
  server: { proxy: { "/api": { target: server, ws: true, changeOrigin: true } } },
});
