import type { PageFinding } from "../src/report/page/model.ts";
import { find } from "./dom.ts";
import { accepts, compareBy, type Filter, type SortKey, sortKeys, textOf } from "./filter.ts";
import { makeRow } from "./rows.ts";

/** Rows that are in the page at first, and that each "more" adds: a browser lays out as many at once. */
const step = 200;

/** The findings of one image, in their section. */
export function startTable(section: HTMLElement, findings: readonly PageFinding[]): void {
  const texts = new Map(findings.map((finding) => [finding, textOf(finding)]));
  const body = find<HTMLTableSectionElement>(section, "tbody");
  const more = find<HTMLButtonElement>(section, ".more");
  const count = find(section, ".count");
  let sorted: { key: SortKey; isDescending: boolean } | undefined;
  let layer: number | undefined;
  let listed: PageFinding[] = [];
  let shown = 0;

  const show = (upTo: number): void => {
    body.append(...listed.slice(shown, upTo).map(makeRow));
    shown = Math.min(upTo, listed.length);
    more.hidden = shown === listed.length;
    more.textContent = `Show ${Math.min(step, listed.length - shown)} more of ${listed.length - shown}`;
  };
  const refresh = (): void => {
    const filter = { ...readControls(section), layer };
    listed = findings.filter((finding) => accepts(filter, finding, texts.get(finding) ?? ""));
    if (sorted !== undefined) listed.sort(compareBy(sorted.key, sorted.isDescending));
    body.replaceChildren();
    shown = 0;
    show(step);
    const layers = layer === undefined ? "" : ` in layer ${layer}`;
    count.textContent = `${listed.length} of ${findings.length}${layers}`;
  };

  for (const control of section.querySelectorAll(".controls input, .controls select"))
    control.addEventListener("input", refresh);
  find(section, ".reset").addEventListener("click", () => {
    find<HTMLFormElement>(section, ".controls").reset();
    layer = undefined;
    markLayer(section, layer);
    refresh();
  });
  // Nothing is sent anywhere: what Enter in a form does.
  find(section, ".controls").addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => show(shown + step));
  for (const button of section.querySelectorAll<HTMLButtonElement>("thead button")) {
    button.addEventListener("click", () => {
      const key = sortKeys.find((each) => each === button.dataset["sort"]);
      if (key === undefined) return;
      sorted = { key, isDescending: sorted?.key === key && !sorted.isDescending };
      markSorted(section, button, sorted.isDescending);
      refresh();
    });
  }
  for (const button of section.querySelectorAll<HTMLButtonElement>(".layers button")) {
    button.addEventListener("click", () => {
      const chosen = Number(button.dataset["layer"]);
      layer = layer === chosen ? undefined : chosen;
      markLayer(section, layer);
      refresh();
    });
  }
  // Paper has no button for the rest: what the filter leaves is printed whole, within what a printer is for.
  window.addEventListener("beforeprint", () => show(Math.min(listed.length, 1_000)));
  refresh();
}

function readControls(section: HTMLElement): Omit<Filter, "layer"> {
  const controls = new FormData(find<HTMLFormElement>(section, ".controls"));
  const word = (name: string): string => String(controls.get(name) ?? "");
  return {
    text: word("text"),
    severities: new Set(controls.getAll("severity").map(String)),
    origin: word("origin"),
    state: word("state"),
    change: word("change"),
    isFixable: controls.has("fixable"),
  };
}

function markSorted(section: HTMLElement, by: HTMLElement, isDescending: boolean): void {
  for (const header of section.querySelectorAll("thead th")) header.removeAttribute("aria-sort");
  by.closest("th")?.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
}

function markLayer(section: HTMLElement, layer: number | undefined): void {
  for (const button of section.querySelectorAll<HTMLButtonElement>(".layers button"))
    button.setAttribute("aria-pressed", `${Number(button.dataset["layer"]) === layer}`);
}
