import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { escapeHtml, renderDocument } from "../report/html.ts";
import assets from "../report/page/assets.json" with { type: "json" };
import { icon } from "../report/page/sections.ts";
import { formatTime } from "../report/terminal.ts";
import { nameImage } from "./facts.ts";
import { groupFleet, type RefusedThing, type RescannedImage, type RescanReport } from "./rescan-facts.ts";

/** Images, and things of one image, that the page has one by one. */
const maxImages = 2_000;
const maxThings = 50;

const words = { pass: "pass", later: "refused later", fail: "refused" } as const;
const icons = { pass: "pass", later: "missing", fail: "fail" } as const;

/**
 * A rescan of the fleet as one page, without a script: by strategy, base, owner and age, what a newer base mends, and
 * what is to be mended where. Nothing in it is fetched from anywhere.
 */
export function renderFleetPage(report: RescanReport): string {
  const { images } = report;
  const counts = groupFleet(report, () => "all").get("all");
  const refused = counts?.fail ?? 0;
  const verdict = refused > 0 ? "fail" : report.failures.length > 0 ? "error" : "pass";
  const title = `${refused} of ${images.length} images are refused, ${counts?.later ?? 0} from a later day on`;
  const body = `<a class="skip" href="#main">Skip to the content</a>
<header class="top ${verdict}">
<p class="brand"><span aria-hidden="true">◆</span> goldenpath</p>
<h1>${icon(verdict)} ${escapeHtml(title)}</h1>
<dl class="facts">${[
    ["Policy", `${escapeHtml(report.policy.name)} <span class="quiet">serial ${report.policy.serial}</span>`],
    ["Made", escapeHtml(formatTime(report.at.toISOString()))],
    ["Not looked at", String(report.failures.length)],
    ["Requests", String(report.requests)],
  ]
    .map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`)
    .join("")}</dl>
</header>
<main id="main">
${renderFailures(report)}
${renderRebases(images)}
${renderGroups(report)}
${renderImages(images)}
</main>
<footer><p>Made by goldenpath from signed SBOMs. This page asks no server for anything; it shows, and decides nothing: the gate reads the signatures.</p></footer>`;
  return renderDocument({ title, style: assets.style, body });
}

function table(label: string, heads: readonly string[], rows: readonly string[]): string {
  const head = heads.map((each) => `<th scope="col">${each}</th>`).join("");
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(label)}"><table class="images"><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function renderFailures({ failures }: RescanReport): string {
  if (failures.length === 0) return "";
  const rows = failures.map(
    ({ what, problem }) =>
      `<tr><th scope="row"><code>${escapeHtml(what)}</code></th><td>${escapeHtml(problem)}</td></tr>`,
  );
  return `<section><h2>Not looked at</h2>${table("Not looked at", ["What", "Why"], rows)}</section>`;
}

/** By base, what a newer one takes along. */
function renderRebases(images: readonly RescannedImage[]): string {
  const hit = images.flatMap(({ image, refused }) => {
    const things = refused.filter(({ action }) => action === "rebase");
    return things.length === 0 ? [] : [{ image, things }];
  });
  if (hit.length === 0) return "";
  const items = [...Map.groupBy(hit, ({ image }) => image.base?.name ?? "(its base)")].map(([base, own]) => {
    const ids = new Set(own.flatMap(({ things }) => things.map(({ violation }) => violation.thing)));
    const names = own.map(({ image }) => `<li><code>${escapeHtml(nameImage(image))}</code></li>`).slice(0, maxImages);
    return `<li><p><b>Rebase ${own.length} ${own.length === 1 ? "image" : "images"} on a newer ${escapeHtml(base)}</b>, which brings ${escapeHtml([...ids].slice(0, maxThings).join(", "))}</p><details><summary>Which</summary><ul>${names.join("")}</ul></details></li>`;
  });
  return `<section><h2>What a newer base mends</h2><ol class="ways">${items.join("")}</ol></section>`;
}

function renderGroups(report: RescanReport): string {
  const groups: [string, (image: RescannedImage) => string][] = [
    ["Strategy", ({ image }) => image.strategy ?? "(nobody says)"],
    ["Base", ({ image }) => image.base?.name ?? "(none that is proven)"],
    ["Owner", ({ owner }) => owner],
    ["Age", (image) => tellAge(image, report.at)],
  ];
  return groups
    .map(([name, keyOf]) => {
      const rows = [...groupFleet(report, keyOf)]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(
          ([key, { images, fail, later, pass }]) =>
            `<tr><th scope="row">${escapeHtml(key)}</th><td>${images}</td><td>${fail}</td><td>${later}</td><td>${pass}</td></tr>`,
        );
      const heads = [name, "Images", "Refused", "Refused later", "Pass"];
      return `<section><h2>By ${name.toLowerCase()}</h2>${table(`By ${name.toLowerCase()}`, heads, rows)}</section>`;
    })
    .join("\n");
}

const ages: readonly [days: number, name: string][] = [
  [7, "1: a week"],
  [30, "2: a month"],
  [90, "3: three months"],
  [365, "4: a year"],
  [Number.POSITIVE_INFINITY, "5: longer"],
];

/** By the first promotion: so long the same bytes are there. */
function tellAge({ image }: RescannedImage, at: Date): string {
  const first = Math.min(...image.promotions.map((each) => each.at.getTime()));
  const days = (at.getTime() - first) / 86_400_000;
  return (ages.find(([most]) => days <= most) ?? [0, "(nobody says)"])[1];
}

function renderImages(images: readonly RescannedImage[]): string {
  const rank = { fail: 0, later: 1, pass: 2 };
  const sorted = images.toSorted(
    (a, b) => rank[a.verdict] - rank[b.verdict] || (nameImage(a.image) < nameImage(b.image) ? -1 : 1),
  );
  const rows = sorted.slice(0, maxImages).map((each) => {
    const { image, owner, verdict, countsFrom, refused } = each;
    const from = countsFrom === undefined ? "" : ` from ${countsFrom.toISOString().slice(0, 10)}`;
    const more = refused.length > maxThings ? `<li>and ${refused.length - maxThings} more</li>` : "";
    const things = refused.slice(0, maxThings).map((thing) => `<li>${renderThing(thing, owner)}</li>`);
    const list = things.length === 0 ? "" : `<ul>${things.join("")}${more}</ul>`;
    return `<tr><th scope="row">${escapeHtml(formatRepository(image.repository))} <span class="quiet">${escapeHtml(image.tags.join(", "))}</span></th><td>${icon(icons[verdict])} ${words[verdict]}${from}</td><td>${escapeHtml(owner)}</td><td>${list}</td></tr>`;
  });
  const left = images.length - rows.length;
  const note = left > 0 ? `<p class="nothing">and ${left} more, which the list as JSON has</p>` : "";
  return `<section><h2>Images</h2>${table("Images", ["Image", "Verdict", "Owner", "What is refused"], rows)}${note}</section>`;
}

function renderThing({ violation, action, place, countsFrom, owner: whose }: RefusedThing, owner: string): string {
  const where =
    action === "rebase"
      ? "with the base"
      : place === undefined
        ? ""
        : place.url !== undefined && /^https:\/\/[\w.:/%@#-]{1,400}$/.test(place.url)
          ? `<a href="${escapeHtml(place.url)}" rel="noopener noreferrer">${escapeHtml(`${place.file}:${place.line}`)}</a>`
          : `<code>${escapeHtml(`${place.file}:${place.line}`)}</code>`;
  return `${escapeHtml(violation.thing)} <span class="quiet">from ${countsFrom.toISOString().slice(0, 10)}</span> ${where}${action === "rebase" || whose === owner ? "" : ` (${escapeHtml(whose)})`}`;
}
