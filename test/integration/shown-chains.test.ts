import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { showChain } from "../support/shown.ts";
import { shownChains } from "../support/shown-chains.ts";

// The comment, the summary and the page of twelve chains, for people to review: test/fixtures/shown-chains. After a change
// on purpose: `vitest run --project integration test/integration/shown-chains.test.ts --update`.

const folder = join(import.meta.dirname, "../fixtures/shown-chains");

/** The page with its style, script and data beside it, which are the same for all, or change with each finding. */
function reviewable(page: string): string {
  return page
    .replace(/<meta http-equiv="Content-Security-Policy"[^>]*>\n/, "")
    .replace(/<style>.*?<\/style>/s, '<link rel="stylesheet" href="../../../../packages/core/page/page.css">')
    .replace(/<script>.*?<\/script>\n/s, "");
}

/** What a reader sees without scrolling or unfolding: the first lines with words, as they are shown. */
function firstLines(comment: string, count: number): string {
  return comment
    .replaceAll(/<!--.*?-->/gs, "")
    .split("\n")
    .map((line) => line.replaceAll(/<[^>]*>|\*\*|\\/g, "").trim())
    .filter((line) => line !== "")
    .slice(0, count)
    .join("\n");
}

test("there are twelve, each of its own name", () => {
  expect(new Set(shownChains.map(({ name }) => name)).size).toBe(12);
});

describe.each(shownChains)("$name", (chain) => {
  const shown = showChain(chain);

  test("is as it was reviewed", async () => {
    const beside = (name: string): string => join(folder, chain.name, name);
    await expect(shown.comment).toMatchFileSnapshot(beside("comment.md"));
    await expect(shown.summary).toMatchFileSnapshot(beside("summary.md"));
    await expect(reviewable(shown.page)).toMatchFileSnapshot(beside("page.html"));
  });

  test("who reads the first five lines of the comment knows the verdict and what to do", () => {
    const lines = firstLines(shown.comment, 5);
    for (const words of chain.says) expect(lines).toContain(words);
  });

  test("and so does who reads the top of the page", () => {
    const body = shown.page.slice(shown.page.indexOf("<body>"), shown.page.indexOf('<script type="application/json"'));
    const text = body.replaceAll(/<svg.*?<\/svg>/gs, "").replaceAll(/<[^>]*>/g, " ");
    const way = chain.says.filter((words) => /^(?:Update|Build on|Remove|Run|build on)/.test(words));
    for (const words of way) expect(text).toContain(words);
    expect(text.includes("Nothing.")).toBe(chain.says.includes("Nothing to do") || chain.name === "matrix-of-five");
  });
});

test("a way out that is only in the fold is not in the first lines", () => {
  const many = showChain(shownChains.find(({ name }) => name === "300-new-findings") as (typeof shownChains)[number]);
  const last = /Update (\S+) to \S+ \(npm\)/.exec(many.comment.slice(many.comment.lastIndexOf("Update ")))?.[0] ?? "";
  expect(last).not.toBe("");
  expect(firstLines(many.comment, 5)).not.toContain(last);
});

test("the style that the reviewed pages have is the page's own", () => {
  expect(readFileSync(join(folder, "../../../packages/core/page/page.css"), "utf8")).toContain("--paper");
});
