import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { expect, test } from "vitest";
import type { BuildPlan } from "../build/plan-build.ts";
import { renderBuildSummary } from "./build-summary.ts";

test("names, reasons and notes stay text in the summary: no link, no HTML, no cell or line of their own", () => {
  const digest = digestOf("image");
  const repository = { registry: "r.test", name: "quarantine/shop" };
  const hostile = "a | b\n# [here](https://evil.test) <img src=x> @acme `x`";
  const plan: BuildPlan = {
    strategy: { strategy: "buildpacks", reason: hostile, notTaken: [] },
    builder: { name: hostile, buildpacks: [], runImage: "golden" },
    repository,
    tags: [{ ...repository, tag: "1.0" }],
    runImage: { base: hostile, reference: { ...repository, digest } },
    buildpacks: [],
    mayBeUnisolated: false,
    remarks: [],
  };
  const summary = renderBuildSummary(plan, `r.test/quarantine/shop@${digest}`, {
    tools: [{ name: hostile, version: "1" }],
    notes: [hostile],
  });
  expect(summary).not.toMatch(/<img|[^\\]\[here|https:\/\/evil|@acme|[^\\]`/);
  const table = summary.split("\n").filter((line) => line.startsWith("|"));
  expect(table).toHaveLength(9);
  for (const row of table.slice(2)) expect(row.match(/(?<!\\)\|/g)).toHaveLength(3);
  expect(summary.split("\n").filter((line) => line.startsWith("#"))).toEqual(["### Built"]);
  expect(summary).toContain("quarantine/shop");
});
