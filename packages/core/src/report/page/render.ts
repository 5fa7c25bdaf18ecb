import { cleanStrings } from "@goldenpath/foundation/text/clean";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { escapeHtml, renderDocument } from "../html.ts";
import { formatTime } from "../terminal.ts";
import assets from "./assets.json" with { type: "json" };
import type { Page, PageData, PageImage } from "./model.ts";
import { icon, listOf, renderImage, renderPolicyExceptions, renderReference, words } from "./sections.ts";

/** The page as one file of HTML. The findings are data that its script writes into the table as text. */
export function renderPage(given: Page): string {
  const page = boundPage(given);
  const data: PageData = page.images.map(({ findings }) => ({ findings: findings ?? [] }));
  const [first] = page.images;
  const claimed = page.source === "claimed" ? "claimed " : "";
  const of = page.images.length === 1 ? (first?.title ?? "") : `${page.images.length} images`;
  return renderDocument({
    title: `${claimed}${verdictOf(page)}: ${of}`,
    style: assets.style,
    script: assets.script,
    body: `<a class="skip" href="#main">Skip to the content</a>
${renderHeader(page)}
<main id="main">
${page.images.map((image, at) => renderImage(image, at, page)).join("\n")}${renderPolicyExceptions(page)}
</main>
${renderFooter(page)}
<script type="application/json" id="findings">${embed(data)}</script>`,
  });
}

/** Images, and findings of all of them, that one page has: a stranger's run may tell of any number. */
const maxImages = 200;
const maxFindings = 20_000;

/** As much of a page as a browser shows, the images with something to do first where there are too many. */
function boundPage(page: Page): Page {
  const worst = page.images.filter(({ verdict }) => verdict !== "pass");
  const kept = page.images.length <= maxImages ? page.images : [...worst, ...page.images].slice(0, maxImages);
  let left = maxFindings;
  const images = [...new Set(kept)].map((image) => {
    if (image.findings === undefined) return image;
    const findings = image.findings.slice(0, left);
    left -= findings.length;
    return { ...image, findings, omitted: image.omitted + image.findings.length - findings.length };
  });
  return { ...page, images };
}

/**
 * JSON in an element whose text ends at the first `</`, or changes its meaning at `<!--`: no `<` is left in it, and
 * nothing that is a command where a job prints the page into its log (`##[`).
 */
function embed(data: PageData): string {
  return stringifyJson(cleanStrings(data)).replaceAll("<", "\\u003c").replaceAll("##", "#\\u0023");
}

function verdictOf({ images }: Page): PageImage["verdict"] {
  const verdicts = images.map(({ verdict }) => verdict);
  return verdicts.includes("error") ? "error" : verdicts.includes("fail") ? "fail" : "pass";
}

const sources: Record<Page["source"], string> = {
  signed: "What the stages signed, verified under the policy; findings are those of the newest scan",
  run: "What the result files of this run say; nothing here is signed yet",
  claimed: "What the pull request’s own run claims: nothing of it is signed, and no later stage goes by it",
};

function renderHeader(page: Page): string {
  const verdict = verdictOf(page);
  const { policy, madeAt, run } = page;
  const facts: [string, string][] = [
    ["Policy", `${escapeHtml(policy.uri)} <span class="quiet">serial ${policy.serial}</span>`],
    ["Told by", sources[page.source]],
    ["Made", escapeHtml(formatTime(madeAt))],
    ...(run === undefined || !/^https:\/\/[\w.:/-]{1,300}$/.test(run)
      ? []
      : ([["Run", `<a href="${escapeHtml(run)}" rel="noopener noreferrer">${escapeHtml(run)}</a>`]] as [
          string,
          string,
        ][])),
  ];
  return `<header class="top ${verdict}">
<p class="brand"><span aria-hidden="true">◆</span> goldenpath <button type="button" class="theme" hidden>Theme: auto</button></p>
<h1>${icon(verdict)} ${escapeHtml(`${page.source === "claimed" ? "The run claims: " : ""}${headline(page, verdict)}`)}</h1>
${page.images.length === 1 ? renderName(page, page.images[0]) : renderImages(page)}
<dl class="facts">${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`).join("")}</dl>
</header>`;
}

/** The one sentence that a reader takes away. */
function headline({ images, source }: Page, verdict: PageImage["verdict"]): string {
  if (images.length > 1) {
    const bad = images.filter((image) => image.verdict !== "pass").length;
    return bad === 0 ? `All ${images.length} images pass` : `${bad} of ${images.length} images need work`;
  }
  const [image] = images;
  const stagesIn = (...states: string[]): string[] =>
    (image?.stages ?? []).filter(({ state }) => states.includes(state)).map(({ stage }) => stage);
  const failed = stagesIn("fail");
  if (verdict === "error") return `Not judged: ${listOf(stagesIn("error"))} ended in an error`;
  if (verdict === "fail" && failed.length > 0) return `Refused by ${listOf(failed)}`;
  if (verdict === "fail")
    return `Not complete: nothing that counts for ${listOf(stagesIn("missing").filter((stage) => stage !== "promote"))}`;
  return source === "signed" && stagesIn("pass").includes("promote")
    ? "Vetted: every stage passed"
    : "Passed by every stage so far";
}

function renderName(page: Page, image: PageImage | undefined): string {
  return image === undefined ? "" : renderReference(image, page);
}

function renderImages({ images }: Page): string {
  const rows = images.map(
    (image, at) =>
      `<tr><th scope="row"><a href="#image-${at}">${escapeHtml(image.title)}</a></th><td>${icon(image.verdict)} ${words[image.verdict]}</td><td>${image.stages.map(({ stage, state }) => `<span class="mini ${state}">${icon(state)} ${escapeHtml(stage)}</span>`).join(" ")}</td></tr>`,
  );
  return `<div class="scroll" tabindex="0" role="region" aria-label="Images"><table class="images"><thead><tr><th scope="col">Image</th><th scope="col">Verdict</th><th scope="col">Stages</th></tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function renderFooter({ policy }: Page): string {
  return `<footer><p>Made by goldenpath, under the policy <code>${escapeHtml(policy.digest)}</code>. This page asks no server for anything; it shows, and decides nothing: the gate reads the signatures.</p>
<p class="keys">Keys: <kbd>/</kbd> search, <kbd>Esc</kbd> leave it, <kbd>Tab</kbd> and <kbd>Enter</kbd> for all else.</p></footer>`;
}
