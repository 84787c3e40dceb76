import { vitePreprocess } from "@sveltejs/vite-plugin-svelte";

export default {
  preprocess: vitePreprocess({ style: false }),
  // Runes everywhere; styles always leave as files, because the pages' policy allows no inline style.
  compilerOptions: { runes: true, css: "external" },
};
