import { realpathSync } from "node:fs";
import { join } from "node:path";
import { explainBuild } from "@goldenpath/core/build/explain-build";
import { surveyTree } from "@goldenpath/core/build/survey/gather";
import { rulesWith } from "@goldenpath/testing/survey";
import { afterAll, describe, expect, test } from "vitest";
import { applications, openCheckouts } from "../support/public-applications.ts";

const checkouts = openCheckouts();
afterAll(() => checkouts.close());

describe.each(applications)("$repository $folder", (application) => {
  const { folder: inner, strategy, language, plugin, missing } = application;

  test("is explained by what it is", { timeout: 300_000 }, async ({ skip }) => {
    const checkout = await checkouts.checkOut(application);
    if ("without" in checkout) return skip(checkout.without);
    const tree = await surveyTree(realpathSync(join(checkout.root, inner)));
    const builders = [
      { name: "other", runImage: "golden", languages: [language === "go" ? "java" : "go"] },
      { name: "right", runImage: "golden", languages: [language] },
      { kind: "dockerfile", name: "files" },
    ] as const;
    // Strategies that go by a plugin are left out: what is asked is what buildpacks are told of it.
    const rules = rulesWith({ strategies: ["buildpacks", "dockerfile"], builders });
    const request = { strategy: "auto", builder: undefined, module: undefined, tree, context: inner } as const;
    const { explanation, error } = explainBuild(rules, request);
    expect(error).toBeUndefined();
    expect(explanation.applications).toEqual([]);
    expect(explanation.chosen).toMatchObject({ strategy, builder: "right" });
    expect(explanation.missing).toEqual(missing === undefined ? [] : [expect.stringContaining(missing)]);
    if (plugin !== undefined) expect(explanation.found.join("\n")).toContain(plugin);
  });
});

test("there are thirty of them whose packages most machines reach", () => {
  expect(applications.filter(({ needs }) => needs === undefined).length).toBeGreaterThanOrEqual(30);
});
