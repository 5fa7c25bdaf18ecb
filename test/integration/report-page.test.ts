import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { PageImage } from "@goldenpath/core/report/page/model";
import { renderPage } from "@goldenpath/core/report/page/render";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BrowserStand, type Opened, openBrowser } from "../support/browser.ts";
import { showChain } from "../support/shown.ts";
import { baseResult, scanResult, shownChains, shownLayers, shownResult } from "../support/shown-chains.ts";
import { manyFindings } from "../support/shown-findings.ts";

let browser: BrowserStand;
// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  browser = await openBrowser(suite);
});
afterAll(async () => browser?.close());

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface AxeViolation {
  id: string;
  impact: string;
  nodes: { html: string }[];
}

/** What axe-core takes for a serious fault, or a critical one. */
async function findFaults({ page }: Opened): Promise<string[]> {
  await page.evaluate(axe);
  const violations = (await page.evaluate("axe.run().then(({ violations }) => violations)")) as AxeViolation[];
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`);
}

const chainOf = (name: string) => {
  const chain = shownChains.find((each) => each.name === name);
  if (chain === undefined) throw new Error(`no chain ${name}`);
  return chain;
};
const pageOf = (name: string): string => showChain(chainOf(name)).page;

/** A page of as many findings in one image, of which none is refused. */
const pageWith = (count: number): string =>
  showChain({
    name: "many",
    says: [],
    jobs: [
      [shownResult("build"), baseResult(), scanResult(manyFindings(count, shownLayers))].map((result) => ({
        from: "",
        result,
      })),
    ],
  }).page;

const rows = ({ page }: Opened): Promise<string[]> => page.locator("tr.finding td.id").allTextContents();

describe("the page's faults are found", () => {
  test("a request, a script of another's, an error and a colour that can't be read", async () => {
    const bad = pageOf("scan-refused").replace(
      '<main id="main">',
      '<main id="main"><img src="https://evil.example/x.png"><script>alert(1)</script><p><img src="x" onerror="alert(2)"></p>',
    );
    const opened = await browser.open(bad);
    expect(opened.faults.join("\n")).toContain("Content Security Policy");
    expect(opened.faults.filter((fault) => fault.startsWith("dialog"))).toEqual([]);
    expect(await findFaults(opened)).toEqual([expect.stringMatching(/^image-alt: /)]);
  });
});

describe("every chain's page", () => {
  test.each(shownChains.map(({ name }) => name))("%s has no error, no request and no serious fault", async (name) => {
    const opened = await browser.open(pageOf(name));
    expect(await opened.page.evaluate("document.documentElement.className")).toBe("ready");
    expect(await findFaults(opened)).toEqual([]);
    await opened.page.emulateMedia({ colorScheme: "dark" });
    expect(await findFaults(opened)).toEqual([]);
    expect(opened.faults).toEqual([]);
    await opened.page.context().close();
  });
});

describe("5,000 findings", () => {
  let opened: Opened;
  beforeAll(async () => {
    opened = await browser.open(pageWith(5_000));
  });

  test("the worst come first, some at a time, and more when asked", async () => {
    expect(await opened.page.locator(".count").textContent()).toBe("5000 of 5000");
    expect(await rows(opened)).toHaveLength(200);
    expect(await opened.page.locator("tr.finding .severity").first().textContent()).toBe("critical");
    await opened.page.getByRole("button", { name: "Show 200 more of 4800" }).click();
    expect(await rows(opened)).toHaveLength(400);
  });

  test("search takes each word, in a package's name, an advisory or a path", async () => {
    const { page } = opened;
    await page.locator(".search").fill("cve-2026-10042");
    expect(await rows(opened)).toEqual(["CVE-2026-10042"]);
    await page.locator(".search").fill("tiny npm");
    const packages = await page.locator("tr.finding td.package").allTextContents();
    expect(packages.length).toBeGreaterThan(10);
    expect(packages.every((each) => each.includes("tiny") && each.endsWith("npm"))).toBe(true);
    await page.locator(".search").fill("no such thing");
    expect(await rows(opened)).toEqual([]);
    expect(await page.locator(".count").textContent()).toBe("0 of 5000");
    await page.getByRole("button", { name: "Reset" }).click();
    expect(await page.locator(".count").textContent()).toBe("5000 of 5000");
  });

  test("severity, origin, fix and layer filter together", async () => {
    const { page } = opened;
    await page.getByLabel("critical").check();
    await page.getByLabel("Comes with").selectOption("base");
    await page.getByLabel("has a fix").check();
    const all = await page.locator("tr.finding").evaluateAll((found) => found.map(({ textContent }) => textContent));
    expect(all.length).toBeGreaterThan(10);
    expect(all.every((each) => each?.includes("critical") && each.includes("base"))).toBe(true);
    const before = Number.parseInt((await page.locator(".count").textContent()) ?? "", 10);
    await page.locator('.layer[data-layer="2"]').click();
    const counted = (await page.locator(".count").textContent()) ?? "";
    expect(counted).toContain(" in layer 2");
    expect(Number.parseInt(counted, 10)).toBeLessThan(before);
    expect(await page.locator('.layer[aria-pressed="true"]').count()).toBe(1);
    await page.getByRole("button", { name: "Reset" }).click();
    expect(await page.locator('.layer[aria-pressed="true"]').count()).toBe(0);
  });

  test("a column sorts up, then down, and says so", async () => {
    const { page } = opened;
    const header = page.getByRole("columnheader", { name: "Advisory" });
    await header.getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("ascending");
    expect((await rows(opened))[0]).toBe("CVE-2026-10000");
    await header.getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBe("descending");
    expect((await rows(opened))[0]).toBe("CVE-2026-14999");
    await page.getByRole("columnheader", { name: "CVSS" }).getByRole("button").click();
    expect(await header.getAttribute("aria-sort")).toBeNull();
    expect(await page.locator("tr.finding").first().textContent()).toContain("exploited");
  });

  test("and nothing of it is an error or a request", () => {
    expect(opened.faults).toEqual([]);
  });
});

describe("the keyboard", () => {
  test("searches, folds and goes from one control to the next", async () => {
    const opened = await browser.open(pageOf("scan-refused"));
    const { page } = opened;
    await page.keyboard.press("/");
    await page.keyboard.type("lodash/");
    expect(await page.locator(".search").inputValue()).toBe("lodash/");
    await page.keyboard.press("Backspace");
    expect(await rows(opened)).toEqual(["GHSA-35jh-r3h4-6jhm"]);
    await page.keyboard.press("Escape");
    expect(await page.evaluate("document.activeElement === document.body")).toBe(true);
    const fold = page.getByRole("button", { name: "Details of GHSA-35jh-r3h4-6jhm in lodash" });
    await fold.focus();
    await page.keyboard.press("Enter");
    expect(await fold.getAttribute("aria-expanded")).toBe("true");
    expect(await page.locator("tr.detail").textContent()).toContain("Command injection in lodash");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.getAttribute('href')")).toBe(
      "https://github.com/advisories/GHSA-35jh-r3h4-6jhm",
    );
    await fold.focus();
    await page.keyboard.press("Space");
    expect(await page.locator("tr.detail").count()).toBe(0);
    await page.locator("details.evidence summary").focus();
    await page.keyboard.press("Enter");
    expect(await page.locator("details.evidence pre").isVisible()).toBe(true);
    expect(opened.faults).toEqual([]);
  });

  test("the first stop leads past the top", async () => {
    const { page } = await browser.open(pageOf("scan-refused"));
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await page.keyboard.press("Enter");
    expect(await page.evaluate("location.hash")).toBe("#main");
  });
});

describe("a signed index of two images", () => {
  const reference = `registry.acme.example/vetted/shop@${digestOf("index")}`;
  const image = (title: string, changes: Partial<PageImage> = {}): PageImage => ({
    ...{ title, reference, verdict: "pass", errors: [], violations: [], untold: 0, layers: [], omitted: 0, notes: [] },
    stages: ["build", "base", "scan", "promote"].map((stage) => ({
      ...{ stage, state: stage === "build" ? "attested" : "pass", facts: ["source    acme/shop"], signers: [stage] },
      ...{ time: "2026-11-23T10:00:00Z", policySerial: 41 },
    })),
    exceptions: [{ rule: "scan.severity", thing: "CVE-1", reason: "r", owner: "o", expires: "2027-01-01" }],
    statements: [
      {
        ...{ stage: "scan", predicateType: "https://slsa.dev/verification_summary/v1", signers: ["scan"] },
        ...{ referrer: digestOf("referrer"), bundle: digestOf("bundle"), time: "2026-11-23T10:00:00Z" },
      },
    ],
    rejected: [{ digest: digestOf("forged"), reason: "it is about another image" }],
    ...changes,
  });
  const html = renderPage({
    ...{ source: "signed", madeAt: "2026-11-23T10:05:00Z" },
    images: [image("shop (index)"), image("shop linux/amd64"), image("shop linux/arm64", { verdict: "fail" })],
    policy: { uri: "acme/platform//policy.yaml@9f2c", serial: 41, digest: digestOf("policy") },
  });

  test("shows who signed and what counts for nothing, and folds what passes", async () => {
    const opened = await browser.open(html);
    const { page, faults } = opened;
    expect(await page.locator("h1").textContent()).toContain("1 of 3 images need work");
    expect(await page.locator("details.image[open] > summary h2").allTextContents()).toEqual(["shop linux/arm64"]);
    await page.locator("details").evaluateAll((all) => {
      for (const each of all) each.setAttribute("open", "");
    });
    expect(await page.getByText("it is about another image").count()).toBe(3);
    expect(await page.locator(".stage b", { hasText: /^promote$/ }).count()).toBeGreaterThan(3);
    await page.getByRole("button", { name: "Referrer" }).first().click();
    expect(await page.evaluate("navigator.clipboard.readText()")).toBe(
      `registry.acme.example/vetted/shop@${digestOf("referrer")}`,
    );
    expect(await findFaults(opened)).toEqual([]);
    await page.emulateMedia({ colorScheme: "dark" });
    expect(await findFaults(opened)).toEqual([]);
    expect(faults).toEqual([]);
  });
});

describe("what else a reader does", () => {
  test("every link inside leads somewhere, and those outside are https and tell nobody", async () => {
    const { page } = await browser.open(pageOf("matrix-of-five"));
    const inner = await page
      .locator('a[href^="#"]')
      .evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    expect(inner).toContain("#image-4");
    for (const target of inner) expect(await page.locator(target ?? "").count()).toBe(1);
    const outer = await page
      .locator('a:not([href^="#"])')
      .evaluateAll((links) => links.map((link) => `${link.getAttribute("href")} ${link.getAttribute("rel")}`));
    expect(outer.length).toBeGreaterThan(0);
    for (const link of outer) expect(link).toMatch(/^https:\/\/\S+ noopener noreferrer$/);
  });

  test("copies the image and the command, and changes the theme", async () => {
    const { page, faults } = await browser.open(pageOf("scan-refused"));
    await page.locator(".reference .copy").click();
    const image = await page.evaluate("navigator.clipboard.readText()");
    expect(image).toMatch(/^registry\.acme\.example\/quarantine\/shop@sha256:[0-9a-f]{64}$/);
    expect(await page.locator(".reference .copy").textContent()).toBe("Copied");
    const background = (): Promise<unknown> => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await background();
    for (const theme of ["light", "dark"]) {
      await page.locator(".theme").click();
      expect(await page.locator(".theme").textContent()).toBe(`Theme: ${theme}`);
    }
    expect(await background()).not.toBe(light);
    expect(faults).toEqual([]);
  });

  test("prints the findings and no control", async () => {
    const { page } = await browser.open(pageWith(500));
    const printed = await page.pdf();
    expect(printed.byteLength).toBeGreaterThan(10_000);
    expect(await page.locator("tr.finding").count()).toBe(500);
    await page.emulateMedia({ media: "print" });
    expect(await page.locator(".controls").isVisible()).toBe(false);
    expect(await page.locator(".ways, .nothing").first().isVisible()).toBe(true);
  });

  test("on a telephone nothing is wider than the screen but a table that scrolls", async () => {
    const { page } = await browser.open(pageOf("scan-refused"), { width: 360 });
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
  });

  test("without a script there is all but the list, and the page says so", async () => {
    const { page } = await browser.open(pageOf("scan-refused"), { script: false });
    expect(await page.locator("h1").textContent()).toContain("Refused by scan");
    expect(await page.locator(".ways").textContent()).toContain("Update lodash to 4.17.21 (npm).");
    expect(await page.locator("noscript").textContent()).toContain("needs the page’s own script");
    expect(await page.locator(".copy:visible").count()).toBe(0);
  });
});
