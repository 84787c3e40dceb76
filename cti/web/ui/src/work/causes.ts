// Names of causes by their path.
import { lang } from "../i18n/lang.svelte";
import type { Cause } from "./api";

/** "Delivery › Late"; the path itself where the tree does not have it any more. */
export function causeName(causes: readonly Cause[], path: string): string {
  if (path === "") return lang.w.work.noCause;
  const names: string[] = [];
  let here: readonly Cause[] = causes;
  for (const part of path.split("/")) {
    const found = here.find((cause) => cause.name === part);
    if (!found) return path;
    names.push(lang.title(found.titles, found.name));
    here = found.below ?? [];
  }
  return names.join(" › ");
}

/** Every cause with its path, parents first. */
export function allCauses(causes: readonly Cause[], above = ""): { path: string; depth: number }[] {
  return causes.flatMap((cause) => {
    const path = above ? `${above}/${cause.name}` : cause.name;
    return [{ path, depth: above ? above.split("/").length : 0 }, ...allCauses(cause.below ?? [], path)];
  });
}
