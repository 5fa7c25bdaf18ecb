import { shortDigest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseReference } from "@goldenpath/registry-client/oci/reference";
import { quote } from "../../evidence/render-script.ts";
import { collectWays } from "../comment/ways.ts";
import { soonDays, tellBusyDay, tellDaysLeft } from "../exceptions.ts";
import { escapeHtml } from "../html.ts";
import { formatTime } from "../terminal.ts";
import { renderControls, renderLayers, renderSeverities } from "./findings-section.ts";
import type { Page, PageImage, PageStage } from "./model.ts";

/** Things under one way out that stand open; the rest is folded. */
const openThings = 3;
/** Ways out that stand open. */
const openWays = 8;

/** Of the policy, whose list may be long. */
const maxExceptions = 200;

export const words: Record<PageStage["state"], string> = {
  pass: "pass",
  attested: "attested",
  fail: "refused",
  error: "error",
  missing: "missing",
};

const shapes: Record<PageStage["state"], string> = {
  pass: '<path d="M5 10.5l3.5 3.5L15 7"/>',
  attested: '<path d="M5 10.5l3.5 3.5L15 7"/>',
  fail: '<path d="M6 6l8 8M14 6l-8 8"/>',
  error: '<path d="M10 5v6.5M10 14.5v.5"/>',
  missing: '<path d="M6 10h8"/>',
};

/** A state as a picture; the word stands beside it wherever it is used. */
export function icon(state: PageStage["state"]): string {
  return `<svg class="icon ${state}" viewBox="0 0 20 20" aria-hidden="true" focusable="false"><circle cx="10" cy="10" r="9"/>${shapes[state]}</svg>`;
}

export const copyButton = (text: string, label: string): string =>
  `<button type="button" class="copy" data-copy="${escapeHtml(text)}" hidden>${label}</button>`;

/**
 * An image's name as its parts are spelt; undefined for what is none, and for a stranger's word: whoever copies a line
 * puts it into a shell.
 */
function copiable({ reference }: PageImage, { source }: Page): string | undefined {
  if (reference === undefined || source === "claimed") return undefined;
  try {
    return formatReference(parseReference(reference));
  } catch {
    return undefined;
  }
}

export function renderReference(image: PageImage, page: Page): string {
  const reference = copiable(image, page);
  const button = reference === undefined ? "" : copyButton(reference, "Copy");
  return `<p class="reference"><code>${escapeHtml(image.reference ?? image.title)}</code>${button}</p>`;
}

export function listOf(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** All of one image; of several that all pass it is folded. */
export function renderImage(image: PageImage, at: number, page: Page): string {
  const body = [
    renderPath(image.stages),
    renderWays(image),
    renderLayers(image),
    renderFindings(image, at),
    renderExceptions(image),
    renderEvidence(image, page),
    renderNotes(image),
  ].join("\n");
  if (page.images.length === 1) return `<section id="image-${at}" data-image="${at}">${body}</section>`;
  return `<section id="image-${at}" data-image="${at}"><details class="image"${image.verdict === "pass" ? "" : " open"}>
<summary>${icon(image.verdict)} <h2>${escapeHtml(image.title)}</h2> <span class="quiet">${words[image.verdict]}</span></summary>
${renderReference(image, page)}
${body}</details></section>`;
}

function renderPath(stages: readonly PageStage[]): string {
  return `<h3 class="hidden">The path</h3><ol class="path">${stages.map(renderStage).join("")}</ol>`;
}

function renderStage({ stage, state, signers, time, facts, policySerial }: PageStage): string {
  const by = signers.length === 0 ? "" : `signed by <b>${escapeHtml(signers.join(", "))}</b>`;
  const serial = policySerial === undefined ? "" : `policy serial ${policySerial}`;
  const details = [by, escapeHtml(formatTime(time)), serial].filter((part) => part !== "").join("<br>");
  return `<li class="stage ${state}"><div class="name">${icon(state)} <b>${escapeHtml(stage)}</b> <span>${words[state]}</span></div>${details === "" ? "" : `<p class="quiet">${details}</p>`}${renderFacts(facts)}</li>`;
}

/** A fact's label stands in its first ten columns. */
function renderFacts(facts: readonly string[]): string {
  if (facts.length === 0) return "";
  const rows = facts.map((fact) => {
    const [, label = "", value = ""] = /^(\S.{0,8}?)\s+(.*)$/s.exec(fact) ?? [];
    return `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`;
  });
  return `<dl>${rows.join("")}</dl>`;
}

function renderWays({ title, errors, violations, exceptions, untold }: PageImage): string {
  // Of what a page was made from, stages have the names that they have everywhere.
  const part = { key: title, errors, violations } as Parameters<typeof collectWays>[0][number];
  const ways = collectWays([part]);
  if (ways.length === 0) {
    const excepted = exceptions.length === 0 ? "" : ` ${exceptions.length} excepted by the policy.`;
    return `<h3>What to do</h3><p class="nothing">Nothing.${excepted}</p>`;
  }
  const problems = new Map(violations.map(({ thing, problem }) => [thing, problem]));
  const rows = ways.map(({ stage, text, things }) => {
    const items = things.map((thing) => {
      const problem = problems.get(thing);
      return `<li><b>${escapeHtml(thing)}</b>${problem === undefined ? "" : ` <span class="quiet">${escapeHtml(problem)}</span>`}</li>`;
    });
    const rest = items.slice(openThings);
    const folded =
      rest.length === 0 ? "" : `<details><summary>${rest.length} more</summary><ul>${rest.join("")}</ul></details>`;
    return `<li><p><strong>${escapeHtml(text)}</strong> <span class="tag">${escapeHtml(stage)}</span></p><ul>${items.slice(0, openThings).join("")}</ul>${folded}</li>`;
  });
  const rest = rows.slice(openWays);
  const folded =
    rest.length === 0
      ? ""
      : `<details><summary>${rest.length} more to do</summary><ol class="ways" start="${openWays + 1}">${rest.join("")}</ol></details>`;
  const more = untold === 0 ? "" : `<p class="nothing">And ${untold} more that count, in the result file.</p>`;
  return `<h3>What to do</h3><ol class="ways">${rows.slice(0, openWays).join("")}</ol>${folded}${more}`;
}

function renderFindings(image: PageImage, at: number): string {
  const { findings, compared } = image;
  if (findings === undefined) {
    const why = image.stages.some(({ stage, state }) => stage === "scan" && state !== "missing" && state !== "error")
      ? "The scan says them in no form that this page reads; their numbers are with the stage."
      : "Nothing says what was found: there is no scan that counts.";
    return `<h3>Findings</h3><p class="nothing">${why}</p>`;
  }
  const difference = compared === undefined ? "" : renderDifference(compared);
  if (findings.length === 0) return `<h3>Findings</h3><p class="nothing">No known vulnerabilities.</p>${difference}`;
  return `<h3 id="findings-${at}">Findings</h3>${renderSeverities(findings)}${difference}${renderControls(image, at)}`;
}

function renderDifference({ reference, note, counts, fixed }: NonNullable<PageImage["compared"]>): string {
  const numbers =
    counts === undefined
      ? ""
      : `<b>${counts.new} new</b>, ${counts.worse === 0 ? "" : `${counts.worse} worse, `}${counts.fixed} fixed, ${counts.unchanged} unchanged`;
  const since = reference === undefined ? "" : ` since <code>${escapeHtml(reference)}</code>`;
  const told = note === undefined ? "" : ` <span class="quiet">${escapeHtml(note)}</span>`;
  return `<p class="difference">${numbers}${numbers === "" ? "" : since}${told}</p>${renderFixed(fixed)}`;
}

function renderFixed(fixed: readonly { id: string; thing: string }[]): string {
  if (fixed.length === 0) return "";
  const items = fixed.slice(0, 500).map(({ id, thing }) => `<li>${escapeHtml(id)} in ${escapeHtml(thing)}</li>`);
  return `<details><summary>${fixed.length} fixed since</summary><ul>${items.join("")}</ul></details>`;
}

function renderExceptions({ exceptions }: PageImage): string {
  if (exceptions.length === 0) return "";
  const rows = exceptions.map(
    ({ rule, thing, expires, daysLeft, owner, reason }) =>
      `<tr><td><code>${escapeHtml(rule)}</code></td><td>${escapeHtml(thing)}</td><td>${escapeHtml([expires, tellDaysLeft(daysLeft)].filter((part) => part !== "").join(", "))}</td><td>${escapeHtml(owner)}</td><td>${escapeHtml(reason)}</td></tr>`,
  );
  return `<details><summary><h3>${exceptions.length} with an exception</h3></summary>${table("Exceptions", ["Rule", "What", "Until", "Owner", "Reason"], rows)}</details>`;
}

/** The policy's exceptions: which lapse soon, several on one day, and which do nothing. */
export function renderPolicyExceptions({ exceptions }: Page): string {
  if (exceptions === undefined || exceptions.told.length === 0) return "";
  const { told, days } = exceptions;
  const rows = told
    .slice(0, maxExceptions)
    .map(
      ({ rule, what, owner, reason, state, use, isSoon, isDead }) =>
        `<tr><td>${escapeHtml(state)}${isSoon ? ' <span class="tag">soon</span>' : ""}</td><td><code>${escapeHtml(rule)}</code></td><td>${escapeHtml(what)}</td><td>${escapeHtml(use)}${isDead ? ' <span class="tag">dead</span>' : ""}</td><td>${escapeHtml(owner)}</td><td>${escapeHtml(reason)}</td></tr>`,
    );
  const soon = told.filter(({ isSoon, isDead }) => isSoon && !isDead).length;
  const dead = told.filter(({ isDead }) => isDead).length;
  const busy = days.map((day) => `<p>${escapeHtml(tellBusyDay(day))}</p>`).join("");
  const left = told.length - rows.length;
  const more = left === 0 ? "" : `<p class="nothing">And ${left} more: goldenpath policy exceptions lists them.</p>`;
  const title = `The policy’s exceptions: ${told.length - dead} needed here, ${soon} of them for ${soonDays} days at most, ${dead} that ${dead === 1 ? "does" : "do"} nothing here`;
  return `<section><details class="exceptions"${soon === 0 ? "" : " open"}><summary><h3>${title}</h3></summary>${busy}${table("Exceptions of the policy", ["Until", "Rule", "For", "What it does", "Owner", "Reason"], rows)}${more}</details></section>`;
}

function table(label: string, heads: readonly string[], rows: readonly string[]): string {
  const header = heads.map((head) => `<th scope="col">${head}</th>`).join("");
  return `<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table><thead><tr>${header}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

function renderEvidence(image: PageImage, page: Page): string {
  const { statements, rejected } = image;
  const reference = copiable(image, page);
  if (reference === undefined) return "";
  const command = `npx goldenpath report ${reference} --policy ${quote(page.policy.uri)}`;
  const repository = reference.slice(0, reference.lastIndexOf("@"));
  const rows = statements.map(
    ({ stage, predicateType, signers, time, referrer, bundle }) =>
      `<tr><td>${escapeHtml(stage)}</td><td>${escapeHtml(predicateType)}</td><td>${escapeHtml(signers.join(", "))}</td><td>${escapeHtml(formatTime(time))}</td><td><code>${escapeHtml(shortDigest(referrer as `sha256:${string}`))}</code> ${copyButton(`${repository}@${referrer}`, "Referrer")} ${copyButton(bundle, "Bundle")}</td></tr>`,
  );
  const nothing = rejected.map(
    ({ digest, reason }) => `<li><code>${escapeHtml(digest)}</code> ${escapeHtml(reason)}</li>`,
  );
  return `<details class="evidence"><summary><h3>Evidence</h3></summary>
<p>See for yourself:</p><pre><code>${escapeHtml(command)}</code></pre>${copyButton(command, "Copy the command")}
${rows.length === 0 ? "" : table("Signed statements", ["Stage", "Statement", "Signed by", "When", "Digest"], rows)}
${nothing.length === 0 ? "" : `<h4>Counts for nothing</h4><ul>${nothing.join("")}</ul>`}</details>`;
}

function renderNotes({ notes }: PageImage): string {
  if (notes.length === 0) return "";
  return `<details><summary><h3>Notes</h3></summary><ul>${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join("")}</ul></details>`;
}
