// The page's own script: it filters, sorts, folds and copies what the page has in it, and asks nobody for anything.
import type { PageData } from "../src/report/page/model.ts";
import { find } from "./dom.ts";
import { startTable } from "./table.ts";

const themes = ["auto", "light", "dark"] as const;

function startTheme(button: HTMLButtonElement): void {
  let at = 0;
  button.hidden = false;
  button.addEventListener("click", () => {
    at = (at + 1) % themes.length;
    const theme = themes[at] ?? "auto";
    document.documentElement.dataset["theme"] = theme;
    button.textContent = `Theme: ${theme}`;
  });
}

function startCopy(button: HTMLButtonElement): void {
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    const said = await copy(button.dataset["copy"] ?? "").then(
      () => "Copied",
      () => "Not copied: select it",
    );
    button.textContent = said;
    setTimeout(() => {
      button.textContent = label;
    }, 1_500);
  });
}

/** Where a browser keeps the clipboard from a file's page, by the older way. */
async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    if (!isDone) throw new Error("not copied");
  }
}

/** `/` goes to the search of the image in sight, Escape out of it. */
function startKeys(): void {
  document.addEventListener("keydown", (event) => {
    const target = event.target instanceof HTMLElement ? event.target : undefined;
    if (event.key === "Escape" && target?.matches(".search")) target.blur();
    if (event.key !== "/" || event.ctrlKey || event.metaKey || target?.matches("input, select, textarea")) return;
    const searches = [...document.querySelectorAll<HTMLInputElement>(".search")];
    const open = searches.filter((search) => search.checkVisibility());
    const next = open.find((search) => search.getBoundingClientRect().bottom > 0) ?? open[0];
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
    next.select();
  });
}

const data = JSON.parse(find(document, "#findings").textContent) as PageData;
startTheme(find(document, ".theme"));
for (const button of document.querySelectorAll<HTMLButtonElement>(".copy")) startCopy(button);
for (const section of document.querySelectorAll<HTMLElement>("[data-image]")) {
  const findings = data[Number(section.dataset["image"])]?.findings ?? [];
  if (section.querySelector(".controls") !== null) startTable(section, findings);
}
startKeys();
document.documentElement.classList.add("ready");
