import { expectPlaced, parseText, sampleWith } from "@goldenpath/testing/policy-refusal";
import { expect, test } from "vitest";

const images = "    images: { refuse: [credentials] }\n    promoter: promote";

test("an environment that asks for no base stage can't refuse what that would have seen", () => {
  expectPlaced([
    "images of an environment that asks for no base",
    "    promoter: promote",
    images,
    "images",
    "environments.production.images: the environment does not require stage base, which tells what images have",
  ]);
});

test("its twin that asks for it can", () => {
  const base = `      - { stage: base, signers: [build] }\n${images}`;
  const { environments } = parseText(sampleWith("    promoter: promote", base));
  expect(environments["production"]?.images).toEqual({ refuse: ["credentials"] });
});
