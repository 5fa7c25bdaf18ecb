import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parse, stringify } from "yaml";
import { parsePolicy } from "../packages/core/src/policy/parse.ts";
import { samplePolicyText } from "../packages/testing/src/policy.ts";
import { root } from "./schemas.ts";

const docs = readFileSync(join(root, "docs/registries.md"), "utf8");
const fragments = [...docs.matchAll(/<!-- policy fragment -->\n```yaml\n([\s\S]*?)\n```/g)].map(
  (match) => match[1] ?? "",
);

test("the documentation's fragments of a policy are valid in one", () => {
  expect(fragments).toHaveLength(3);
  for (const fragment of fragments) {
    const text = stringify({ ...(parse(samplePolicyText) as object), ...(parse(fragment) as object) });
    expect(() => parsePolicy(new TextEncoder().encode(text), "docs/registries.md"), fragment).not.toThrow();
  }
});

const registries = [
  "Harbor",
  "GHCR",
  "Amazon ECR",
  "Azure ACR",
  "Google Artifact Registry",
  "Quay",
  "Docker Hub",
  "zot",
  "CNCF distribution",
  "Artifactory",
  "Nexus Repository",
  "olareg",
  "the embedded one",
];

test.each(registries)("%s is in both tables, and each cell says where it is from or that nothing was found", (name) => {
  const rows = docs.split("\n").filter((line) => line.startsWith(`| ${name} |`));
  expect(rows).toHaveLength(2);
  for (const row of rows) {
    const cells = row.split("|").slice(2, -1);
    expect(cells).toHaveLength(4);
    const own = name === "the embedded one";
    for (const cell of cells)
      expect(own || /\]\(https:\/\/|not documented|tested|not used/.test(cell), cell).toBe(true);
  }
});

test("every error of a product's promotion is documented", () => {
  const folder = join(root, "packages/core/src/promote/server-side");
  const source = ["api.ts", "clean-up.ts", "products/nexus-search.ts", "plan.ts", "run.ts"]
    .map((file) => readFileSync(join(folder, file), "utf8"))
    .join("\n");
  const codes = new Set([...source.matchAll(/code: "(server-side-[a-z-]+)"/g)].map((match) => match[1] ?? ""));
  expect(codes.size).toBeGreaterThan(7);
  for (const code of codes) expect(docs).toContain(`\`${code}\``);
});
