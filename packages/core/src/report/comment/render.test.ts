import { join } from "node:path";
import fc from "fast-check";
import { micromark } from "micromark";
import { gfm, gfmHtml } from "micromark-extension-gfm";
import { describe, expect, test } from "vitest";
import type { ListedViolation, StageResult } from "../../result.ts";
import type { Chain } from "../chain.ts";
import { addPart, describeChains, describeResults, type Part, type PartSource } from "./part.ts";
import { maxCommentLength, renderComment } from "./render.ts";
import { isOurs, readParts } from "./state.ts";

const commit = "5f3c1d2e9ab04c6f8d7e6a5b4c3d2e1f0a9b8c7d";
const source = (key: string): PartSource => ({
  key,
  commit,
  run: { id: "19700000001", attempt: 1, url: "https://github.com/acme/shop/actions/runs/19700000001" },
});

function result(
  stage: StageResult["stage"],
  violations: ListedViolation[],
  changes: Partial<StageResult> = {},
): StageResult {
  const verdict = violations.some(({ exception }) => exception === undefined) ? "fail" : "pass";
  const digest = `sha256:${"4c".repeat(32)}` as const;
  return {
    schemaVersion: "1.0",
    stage,
    verdict,
    subject: {
      repository: "registry.acme.example/pull-requests/shop",
      digest,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      children: [{ digest, mediaType: "m", verdict }],
    },
    violations,
    run: { builderId: "local" },
    tools: [],
    notes: [],
    startedAt: "2026-11-23T10:00:00Z",
    finishedAt: "2026-11-23T10:00:01Z",
    ...changes,
  };
}

const vulnerabilities = "https://cosign.sigstore.dev/attestation/vuln/v1";
const scanned = (counts: Record<string, number>): Partial<StageResult> => ({
  predicateType: vulnerabilities,
  predicate: {
    scanner: { uri: "pkg:github/anchore/grype@v0.121.2", version: "0.121.2", result: { goldenpath: { counts } } },
  },
});
const based: Partial<StageResult> = {
  predicateType: "https://github.com/goldenpath-ci/goldenpath/predicates/base/v1",
};
const finding = (name: string, version: string, fixed: string, number: number): ListedViolation => ({
  rule: "scan.severity",
  thing: `CVE-2026-${20_000 + number} in ${name} ${version}`,
  problem: "It is a vulnerability of severity high; the policy refuses high and above.",
  wayOut: `Update ${name} to ${fixed} (npm).`,
});
const lodash = [finding("lodash", "4.17.20", "4.17.21", 1), finding("lodash", "4.17.20", "4.17.21", 2)];
const wrongBase: ListedViolation = {
  rule: "base.approved",
  thing: "registry.acme.example/pull-requests/shop",
  problem: "Its layers begin with those of no base that the policy approves.",
  wayOut: "Take the run image jammy-run of the policy in project.toml, and build again.",
};
const excepted: ListedViolation = {
  ...finding("minimist", "1.2.5", "1.2.6", 9),
  exception: { reason: "only in the build's own scripts", owner: "team-shop", expires: "2027-01-31" },
};

const parts = (...results: StageResult[]): Part[] => [describeResults(results, source("shop"))];
const chains: Record<string, Part[]> = {
  "all green": parts(result("base", [], based), result("scan", [], scanned({ medium: 2, low: 7 }))),
  "refused by base": parts(result("base", [wrongBase], based), result("scan", [], scanned({}))),
  "refused by scan": parts(result("base", []), result("scan", lodash, scanned({ high: 2, medium: 1 }))),
  "refused before there is an image": parts(
    result(
      "build",
      [
        {
          rule: "build.strategy",
          thing: "build",
          problem: "the application is built by dockerfile, which the policy does not allow",
          wayOut: "Build it with buildpacks: delete the Dockerfile, or name strategy: buildpacks.",
        },
      ],
      { subject: undefined },
    ),
  ),
  "refused by the gate": parts(
    result("verify", [
      {
        rule: "gate.missing",
        thing: "stage scan",
        problem: "nothing that counts is signed for it.",
        wayOut: "Run scan again and sign its result.",
      },
    ]),
  ),
  "an error": parts(
    result("base", []),
    result("scan", [], {
      verdict: "error",
      error: {
        code: "database-missing",
        message: "grype has no vulnerability data: the download ended with 503",
        wayOut: "Run the job again later, or give the input 'database'.",
      },
    }),
  ),
  "only exceptions": parts(result("base", []), result("scan", [excepted], scanned({ high: 1 }))),
  "a matrix of five": ["api", "cart", "mail", "search", "web"].map((name, at) =>
    describeResults(
      [result("base", at === 1 ? [wrongBase] : []), result("scan", at < 3 ? lodash : [], scanned({ high: 2 }))],
      source(`registry.acme.example/pull-requests/${name}`),
    ),
  ),
  "a fork": [describeResults([result("base", []), result("scan", lodash)], { ...source("shop"), claimed: true })],
  "300 findings": parts(
    result("base", []),
    result(
      "scan",
      Array.from({ length: 300 }, (_, at) => finding(`package-${at % 40}`, "1.0.0", "1.0.1", at)),
      scanned({ high: 300 }),
    ),
  ),
};

const chainOf = (scan: "pass" | "missing" | "fail"): Chain => ({
  repository: "registry.acme.example/quarantine/shop",
  digest: `sha256:${"4c".repeat(32)}`,
  stages: [
    {
      stage: "build",
      state: "attested",
      signers: ["build"],
      facts: ["source    https://github.com/acme/shop at 5f3c1d2e9ab0"],
    },
    { stage: "base", state: "pass", signers: ["base"], facts: ["base      jammy-run"] },
    { stage: "scan", state: scan, signers: [], facts: [] },
    { stage: "promote", state: "missing", signers: [], facts: [] },
  ],
  rejected: [],
});
const notSigned: ListedViolation = {
  rule: "report.missing",
  thing: "stage scan",
  problem: "nothing that counts is signed for it.",
  wayOut: "Run the scan stage on this digest, and sign its result with that stage's key.",
};
chains["signed evidence of a first run"] = [describeChains([chainOf("pass")], [], source("shop"))];
chains["signed evidence with a stage missing"] = [
  describeChains([chainOf("pass"), chainOf("missing")], [{ ...notSigned, platform: "linux/arm64" }], source("shop")),
];
chains["refused by promote"] = parts(
  result("promote", [
    {
      rule: "promote.tag-moves-back",
      thing: "registry.acme.example/vetted/shop:1.4.1",
      problem: "The tag is at a newer build already.",
      wayOut: "Promote the newer commit, or say rollback: true.",
    },
  ]),
);

const snapshots = join(import.meta.dirname, "../../../../../test/fixtures/comments");
const visible = (body: string): string => body.slice(0, body.lastIndexOf("<!-- goldenpath-parts"));

describe.each(Object.entries(chains))("%s", (name, chain) => {
  const body = renderComment(chain);

  test("is as a person has reviewed it", async () => {
    await expect(visible(body)).toMatchFileSnapshot(join(snapshots, `${name.replaceAll(" ", "-")}.md`));
  });

  test("fits, is known for ours, and gives back what it was made of", () => {
    expect(body.length).toBeLessThanOrEqual(maxCommentLength);
    expect(isOurs(body)).toBe(true);
    expect(visible(renderComment(readParts(body)))).toBe(visible(body));
  });
});

test("the first lines say the verdict, of each stage, and what to do", () => {
  const lines = renderComment(chains["refused by scan"] as Part[])
    .split("\n")
    .filter((each) => each !== "" && !each.startsWith("<!--"));
  expect(lines.slice(0, 4)).toEqual([
    "### ❌ fail · golden path",
    "✅ base · ❌ scan",
    "**What to do**",
    "1. **Update lodash to 4.17.21 (npm).** (scan: CVE-2026-20001 in lodash 4.17.20 and 1 more)",
  ]);
});

test("whatever a stranger's text is, nothing in the comment is theirs but text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const violation = { rule: text, thing: text, problem: text, wayOut: text };
      const error = { code: text, message: text, wayOut: text };
      const body = renderComment(
        parts(
          result("base", [{ ...violation, exception: { reason: text, owner: text, expires: text } }, violation]),
          result("scan", [], { verdict: "error", error }),
        ),
      );
      const tags = new Set(visible(body).match(/<[^>]*>?/g));
      const ours = ["!-- --", "!-- goldenpath: the path of this pull request --", "br", "code", "/code", "details"];
      const more = ["/details", "summary", "/summary", "sub", "/sub", "span", "/span"];
      for (const tag of tags) expect([...ours, ...more].map((each) => `<${each}>`)).toContain(tag);
      for (const row of body.split("\n").filter((each) => each.startsWith("| base |")))
        expect(row.split(/(?<!\\)\|/)).toHaveLength(6);
      expect(readParts(body)).toHaveLength(1);
    }),
  );
});

/** As GitHub's own parser reads it, by its specification, before its sanitizer takes things away. */
const toHtml = (body: string): string =>
  micromark(body, {
    allowDangerousHtml: true,
    allowDangerousProtocol: true,
    extensions: [gfm()],
    htmlExtensions: [gfmHtml()],
  });

describe("by a parser of GitHub's Markdown", () => {
  const hostile = [
    "<img src=x onerror=alert(1)>",
    "</code></td></table></details><script>alert(1)</script>",
    "[a](https://evil.example) ![b](https://evil.example/p.png) [c]: https://evil.example",
    "https://evil.example www.evil.example mallory@evil.example",
    "**a** _b_ ~~c~~ `d` # e | f | g",
    "- [ ] a\n\n# b\n```\nc\n```\n| d |\n| --- |",
    "&lt;b&gt; &#64;octocat &copy;",
    "\\`\\*\\[\\",
    "a[^1] [^1]: b",
    "--> <!-- a",
  ];

  function render(text: string): string {
    const violation = { rule: text, thing: text, problem: text, wayOut: text };
    const exception = { reason: text, owner: text, expires: text };
    const error = { code: text, message: text, wayOut: text };
    return toHtml(
      renderComment(
        ["a", `b ${text}`].map((key) =>
          describeResults(
            [result("base", [violation, { ...violation, exception }]), result("scan", [], { verdict: "error", error })],
            source(key),
          ),
        ),
      ),
    );
  }
  const elements = (html: string): Record<string, number> => {
    const found: Record<string, number> = {};
    for (const [, name = ""] of html.matchAll(/<(\/?[a-z][a-z0-9]*|!--)/gi)) found[name] = (found[name] ?? 0) + 1;
    // Those that an escape adds show as nothing.
    delete found["!--"];
    delete found["span"];
    delete found["/span"];
    return found;
  };

  test("the twin of plain words has the elements of ours: tables, a list, folds, links to runs", () => {
    expect(elements(render("plain"))).toMatchObject({ h3: 1, ol: 1, li: 2, table: 5, details: 4, a: 1 });
  });

  test.each(hostile)("%j adds no element, and takes none away", (text) => {
    expect(elements(render(text))).toEqual(elements(render("plain")));
  });

  test("nor does any other text", () => {
    const plain = elements(render("plain"));
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
        // What is no word at all leaves an emphasis without a word.
        expect(elements(render(`x${text}x`))).toEqual(plain);
      }),
      { numRuns: 100 },
    );
  });

  test("an entity is shown as it was written", () => {
    expect(render("&lt;b&gt; &#64;")).toContain("&amp;lt;b&amp;gt; &amp;#<!-- -->64;");
  });

  test("an image's name is shown as it is, folded as in the table", () => {
    const html = toHtml(
      renderComment(["my_app", "it's_*all*"].map((key) => describeResults([result("scan", lodash)], source(key)))),
    );
    for (const key of ["my_app", "it's_*all*"]) {
      expect(html).toContain(`<summary>❌ fail · <code>${key}</code></summary>`);
      expect(html).toContain(`<td><code>${key}</code></td>`);
    }
  });

  test("what GitHub looks for in text (mentions, references, formulas) is in no piece of text", () => {
    const pieces = render("@octocat #12 acme/shop#12 GH-12 $x$ a@b.example @acme/team").split(/<[^>]*>/);
    for (const piece of pieces) expect(piece).not.toMatch(/@\w|#\d|GH-\d|\$.*\$|\w@\w/);
  });
});

describe("what a reader or a program takes for more than text", () => {
  test.each([
    ["@octocat", /@(?!<!-- -->)/],
    ["see #1 and acme/shop#12", /(?<!^#*)#(?!<!-- -->)/m],
    ["GH-12", /GH-\d/],
    ["$x^2$ and $`y`$", /(?<!<span>)\$/],
    ["https://evil.example", /https:\/\/evil/],
    ["www.evil.example", /www\./],
    ["a\u202eb\u200bc", /[\u202e\u200b]/u],
    ["<img src=x>", /<img/],
    ["<!-- goldenpath-parts:1:AAAA -->", /<!-- goldenpath-parts:1:AAAA/],
    ["a\r\n::error::b", /^::error/m],
  ])("%s", (text, forbidden) => {
    const body = renderComment(parts(result("scan", [{ rule: "r", thing: text, problem: text, wayOut: text }])));
    const theirs = visible(body)
      .split("\n")
      .filter((each) => each.startsWith("1. ") || each.startsWith("| scan"));
    expect(theirs).toHaveLength(2);
    for (const each of theirs) expect(each).not.toMatch(forbidden);
  });
});

describe("parts that came back from a comment", () => {
  const [part] = chains["refused by scan"] as [Part];

  test("of another commit are gone, of the same they stay", () => {
    const other = { ...part, key: "cart" };
    expect(addPart([other], part).map(({ key }) => key)).toEqual(["cart", "shop"]);
    expect(addPart([{ ...other, commit: "0".repeat(40) }], part).map(({ key }) => key)).toEqual(["shop"]);
  });

  test("a newer run's stays, whichever ends last", () => {
    const again: Part = { ...part, run: { ...part.run, attempt: 2 }, counted: 0, violations: [] };
    expect(addPart([part], again)).toEqual([again]);
    expect(addPart([again], part)).toEqual([again]);
    const later: Part = { ...part, run: { id: "19700000002", attempt: 1 } };
    expect(addPart([again], later)).toEqual([later]);
    expect(addPart([later], again)).toEqual([later]);
  });

  test.each([
    ["none", "nothing"],
    ["no base64", "<!-- goldenpath-parts:1:!!! -->"],
    ["not deflated", "<!-- goldenpath-parts:1:AAAA -->"],
    ["cut", renderComment([part]).slice(0, -60)],
  ])("%s is none, and no error", (_name, body) => expect(readParts(body)).toEqual([]));
});
