import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { describe, expect, test } from "vitest";
import type { Page, PageFinding, PageImage } from "./model.ts";
import { renderPage } from "./render.ts";

const reference = `registry.example/shop@${digestOf("image")}`;
const image = (changes: Partial<PageImage> = {}): PageImage => ({
  ...{ title: "shop", reference, verdict: "pass", errors: [], violations: [], exceptions: [], untold: 0 },
  stages: ["build", "base", "scan", "promote"].map((stage) => ({ stage, state: "pass", facts: [], signers: [] })),
  ...{ layers: [], omitted: 0, statements: [], rejected: [], notes: [] },
  ...changes,
});
const page = (changes: Partial<Page> = {}): Page => ({
  ...{ source: "signed", images: [image()], madeAt: "2026-11-23T10:00:00Z" },
  policy: { uri: "acme/platform//policy.yaml@9f2c", serial: 1, digest: digestOf("policy") },
  ...changes,
});
const headOf = (html: string): string => /<h1>.*?<\/svg>(.*?)<\/h1>/s.exec(html)?.[1]?.trim() ?? "";
const copied = (html: string): string[] => [...html.matchAll(/data-copy="([^"]*)"/g)].map(([, text = ""]) => text);

describe("what a reader copies", () => {
  test.each([
    "registry.example/x$(touch pwned)@sha256:0",
    `registry.example/shop;id@${digestOf("image")}`,
    `registry.example/\`id\`@${digestOf("image")}`,
    `registry.example/shop --policy x@${digestOf("image")}`,
    `-registry.example/shop@${digestOf("image")}`,
  ])("is nothing of what is no image's name: %s", (name) => {
    const html = renderPage(page({ images: [image({ reference: name })] }));
    expect(copied(html)).toEqual([]);
    expect(html).not.toContain("npx goldenpath");
  });

  test("is nothing of what a stranger's run claims", () => {
    expect(copied(renderPage(page({ source: "claimed" })))).toEqual([]);
  });

  test("is the image and the command, with a policy's place as one word", () => {
    expect(copied(renderPage(page()))).toEqual([
      reference,
      `npx goldenpath report ${reference} --policy acme/platform//policy.yaml@9f2c`,
    ]);
    const { policy } = page();
    const [, command] = copied(renderPage(page({ policy: { ...policy, uri: "my policy; id" } })));
    expect(command).toMatch(/ --policy &#39;my policy; id&#39;$/);
  });
});

describe("the headline", () => {
  test("says vetted of signed evidence alone, and of a stranger's run that it claims", () => {
    expect(headOf(renderPage(page()))).toBe("Vetted: every stage passed");
    expect(headOf(renderPage(page({ source: "run" })))).toBe("Passed by every stage so far");
    expect(headOf(renderPage(page({ source: "claimed" })))).toBe("The run claims: Passed by every stage so far");
    expect(renderPage(page({ source: "claimed" }))).toContain("<title>claimed pass");
  });

  test("names the stages that refuse, that ended in an error, and of which nothing is signed", () => {
    const withState = (name: string, state: "fail" | "error" | "missing", verdict: PageImage["verdict"]) =>
      headOf(
        renderPage(
          page({
            images: [
              image({
                verdict,
                stages: image().stages.map((stage) => (stage.stage === name ? { ...stage, state } : stage)),
              }),
            ],
          }),
        ),
      );
    expect(withState("base", "fail", "fail")).toBe("Refused by base");
    expect(withState("scan", "error", "error")).toBe("Not judged: scan ended in an error");
    expect(withState("scan", "missing", "fail")).toBe("Not complete: nothing that counts for scan");
  });
});

test("a page has as many images and findings as a browser shows, those with something to do first", () => {
  const finding: PageFinding = {
    ...{ id: "CVE-1", aliases: [], severity: "low", name: "left", version: "1", type: "npm", fixState: "unknown" },
    ...{ origin: "unknown", layers: [], paths: [], urls: [], state: "unsaid" },
  };
  const findings = Array.from({ length: 9_000 }, () => finding);
  const images = Array.from({ length: 400 }, (_, at) =>
    image({ title: `image-${at}`, findings, verdict: at === 399 ? "fail" : "pass" }),
  );
  const html = renderPage(page({ images }));
  expect(html.match(/<section /g)).toHaveLength(200);
  expect(html).toContain("image-399");
  expect(html.match(/"id":"CVE-1"/g)).toHaveLength(20_000);
  expect(html).toContain("And 7000 of the lowest severities");
});
