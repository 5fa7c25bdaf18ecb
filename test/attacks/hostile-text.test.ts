import { renderChainText, renderResultText } from "@goldenpath/core/report/terminal";
import type { StageResult } from "@goldenpath/core/result";
import { parseStageResult } from "@goldenpath/core/result";
import { buildSarif } from "@goldenpath/core/scan/sarif";
import { cleanTerminal } from "@goldenpath/foundation/text/log";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { makeFinding } from "@goldenpath/testing/findings";
import { micromark } from "micromark";
import { gfm, gfmHtml } from "micromark-extension-gfm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BrowserStand, type Opened, openBrowser } from "../support/browser.ts";
import { hostileTexts } from "../support/hostile.ts";
import { type Shown, showChain } from "../support/shown.ts";
import { baseResult, scanResult, shownLayers, shownResult } from "../support/shown-chains.ts";

// Every text of the corpus in every place where a stranger's text gets into what people see: nothing of it is rendered,
// followed or run. A browser says so, beside the same with harmless text.

let browser: BrowserStand;
let opened: Opened;
// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  browser = await openBrowser(suite);
  opened = await browser.open("<!doctype html><title>t</title>");
});
afterAll(async () => browser?.close());

/** A chain with the text wherever a scanner, an image, a policy or a build says something. */
function resultsOf(text: string): StageResult[] {
  const violation = { rule: text, thing: text, problem: text, wayOut: text, place: { file: text, line: 1 } };
  const exception = { reason: text, owner: text, expires: text };
  const layer = shownLayers[5] ?? "";
  const found = { id: text, severity: "High", name: text, version: text, type: text, fixed: text, layer };
  const scan = scanResult(
    [
      { ...found, path: text, description: text },
      { ...found, id: "CVE-2026-1", layer: text },
    ],
    [violation, { ...violation, exception }],
    "shop",
    [text],
  );
  const one = { id: text, package: text, version: text, severity: text, fixedVersions: [text], suggestedVersion: text };
  const added = { ...one, change: "new" as const, platform: text, place: { file: text, line: 1 } };
  const comparison: StageResult["comparison"] = {
    ...{ with: text, note: text, gates: false, counts: { new: 2, worse: 0, fixed: 1, unchanged: 0 } },
    new: [added, { ...added, id: "CVE-2026-20001" }],
    fixed: [{ ...one, change: "fixed" }],
  };
  type Told = { scanner: { result: { goldenpath: { findings: Record<string, unknown>[] } } } };
  const findings = (scan.predicate as Told | undefined)?.scanner.result.goldenpath.findings ?? [];
  for (const each of findings)
    Object.assign(each, {
      saidBy: ["low", "high"].map((severity) => ({ source: text, id: text, severity, fixedVersions: [text] })),
      ...{ layers: [text], paths: [text], urls: [text] },
    });
  const base = baseResult();
  const [child] = (base.predicate?.["children"] ?? []) as Record<string, unknown>[];
  const named = { ...child, base: { name: text, image: text, digest: text }, layers: [...shownLayers, text] };
  const failed = shownResult("promote", { verdict: "error", error: { code: text, message: text, wayOut: text } });
  const uri = { uri: text, digest: digestOf("policy"), serial: 1 };
  return [
    shownResult("build"),
    { ...base, predicate: { children: [named] } },
    { ...scan, policy: uri, comparison },
    failed,
  ];
}

function show(text: string): Shown {
  // As the report reads them: from files, by their schema.
  const results = resultsOf(text).map((result) => parseStageResult(JSON.stringify(result), "a result"));
  return showChain({
    name: "hostile",
    says: [],
    claimed: true,
    jobs: [results.map((result) => ({ from: text, result }))],
  });
}

const harmless = show("pwned");
const shown = Object.entries(hostileTexts).map(([name, text]): [string, Shown] => [name, show(text)]);

/** As GitHub's own parser reads it, before its sanitizer takes things away. */
const toHtml = (markdown: string): string =>
  `<!doctype html><meta charset="utf-8"><title>t</title>${micromark(markdown, {
    allowDangerousHtml: true,
    allowDangerousProtocol: true,
    extensions: [gfm()],
    htmlExtensions: [gfmHtml()],
  })}`;

/** How many of each element there are, with attributes that act named, and where its links lead. */
const anatomy = `(() => {
  const found = {};
  for (const each of document.querySelectorAll("*")) {
    const acts = [...each.attributes].map(({ name }) => name).filter((name) => /^on|^srcdoc$|^formaction$|^autofocus$/.test(name));
    const name = [each.localName, ...acts].join(" ");
    found[name] = (found[name] ?? 0) + 1;
  }
  const links = [...new Set([...document.querySelectorAll("a")].map(({ href }) => new URL(href).origin))].sort();
  return { found, links, pwned: window.pwned ?? null, seen: document.body.textContent.includes("pwned") };
})()`;

interface Anatomy {
  found: Record<string, number>;
  links: string[];
  pwned: unknown;
  seen: boolean;
}

async function inspect(html: string, unfold = false): Promise<Anatomy & { faults: string[] }> {
  await browser.reopen(opened, html);
  const { page, faults } = opened;
  if (unfold) {
    for (const fold of await page.locator(".fold").all()) await fold.click();
    await page.locator("details").evaluateAll((all) => {
      for (const each of all) (each as unknown as { open: boolean }).open = true;
    });
    await page.locator(".search").fill("pwned");
    for (const fold of await page.locator(".fold").all()) await fold.click();
  }
  const seen = (await page.evaluate(anatomy)) as Anatomy;
  return { ...seen, faults: [...faults] };
}

describe("the page in Chromium", () => {
  let twin: Anatomy;
  beforeAll(async () => {
    twin = await inspect(harmless.page, true);
  });

  test("the harmless twin has its folds, links to the run and to advisories, and shows its text", () => {
    expect(twin).toMatchObject({ seen: true, pwned: null });
    expect(twin.links).toContain("https://github.com");
    expect(twin.found["details"]).toBeGreaterThan(1);
  });

  test.each(shown)("%s is text, and nothing else", async (_name, { page }) => {
    const found = await inspect(page, true);
    expect(found.faults).toEqual([]);
    expect(found.pwned).toBeNull();
    expect(found.seen).toBe(true);
    expect(found.links.filter((origin) => !twin.links.includes(origin))).toEqual([]);
    const names = Object.keys(found.found).filter((name) => !(name in twin.found));
    expect(names).toEqual([]);
    expect(found.found["script"]).toBe(2);
  });
});

describe.each([
  ["comment", ({ comment }: Shown) => comment],
  ["summary", ({ summary }: Shown) => summary],
])("the %s as GitHub's Markdown, in Chromium", (_what, of) => {
  let twin: Anatomy;
  beforeAll(async () => {
    twin = await inspect(toHtml(of(harmless)));
  });

  test.each(shown)("%s adds no element, no link and no request", async (_name, each) => {
    const found = await inspect(toHtml(of(each)));
    expect(found.faults).toEqual([]);
    expect(found.pwned).toBeNull();
    // An escape may bring a span that shows a dollar sign.
    const { span: _span, ...elements } = found.found;
    const { span: _other, ...plain } = twin.found;
    expect(elements).toEqual(plain);
    expect(found.links).toEqual(twin.links);
  });

  test.each(shown)("%s is no mention, reference, formula or command", (_name, each) => {
    const pieces = of(each).split(/<[^>]*>/);
    for (const piece of pieces) expect(piece).not.toMatch(/@\w|#\d|GH-\d|\$.*\$/);
    expect(of(each)).not.toMatch(/^\s*(?:::|##\[)/m);
  });
});

const unfit = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe("everything else", () => {
  test.each(Object.entries(hostileTexts))("%s on a terminal moves no cursor and turns no text", (_name, text) => {
    const [, , scan] = resultsOf(text).map((result) => parseStageResult(JSON.stringify(result), "a result"));
    const chain = {
      repository: text,
      digest: digestOf("image"),
      stages: [{ stage: "scan" as const, state: "fail" as const, signers: [text], facts: [text] }],
      rejected: [{ digest: digestOf("other"), reason: text }],
    };
    for (const made of [
      renderResultText(scan as StageResult, { color: false }),
      renderChainText(chain, { color: false }),
    ]) {
      const printed = cleanTerminal(made, false);
      expect(printed).toContain("wned");
      expect(printed).not.toMatch(unfit);
    }
  });

  test.each(Object.entries(hostileTexts))(
    "%s in SARIF is text of one line or more, and no place elsewhere",
    (_name, text) => {
      const found = makeFinding({
        ...{ id: text, aliases: [text], fixedVersions: [text], paths: [text], urls: [text], description: text },
        package: { name: text, version: text, type: text, purl: text },
      });
      const sarif = buildSarif({
        findings: [found],
        scanners: [{ name: text, version: text }],
        repository: text,
        locate: () => ({ file: text }),
        suppression: () => text,
      });
      const written = JSON.stringify(sarif);
      expect(written).toContain("wned");
      expect(JSON.stringify(sarif).replaceAll("\\n", "")).not.toMatch(unfit);
      expect(written).not.toMatch(/"(?:markdown|properties":\{"markdown)"/);
      expect(Object.getPrototypeOf(sarif)).toBe(Object.prototype);
    },
  );
});
