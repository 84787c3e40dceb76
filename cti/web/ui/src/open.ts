// What every page does first: design tokens, the person's theme and language, then the page itself.
import "./tokens.css";
import "./base.css";
import { mount, type Component } from "svelte";
import { lang } from "./i18n/lang.svelte";
import { theme } from "./lib/theme.svelte";

/** Put a page into the document. */
export function open(page: Component): void {
  theme.apply();
  lang.apply();
  const target = document.getElementById("app");
  if (target) mount(page, { target });
}
