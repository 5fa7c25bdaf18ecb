import { join } from "node:path";
import { expect } from "vitest";
import type { Language } from "../../examples/golden-platform/languages.ts";
import { examples } from "./golden-platform.ts";
import type { LanguageWorld } from "./language-world.ts";

/** Takes one of the example applications from its folder to a promotion, and asks its container for a page. */
export async function expectWholePath(world: LanguageWorld, app: string, words: string, language?: Language) {
  const outcome = await world.build(join(examples, "apps", app), language);
  expect(outcome.verdict, outcome.log.join("\n")).toBe("pass");
  const image = outcome.outputs["image"] ?? "";
  await world.docker.docker("pull", image);
  expect(await world.docker.askForPage(image)).toMatchObject({ status: 200, text: expect.stringContaining(words) });
  const { said, promoted } = await world.takeAlong(image);
  expect(said).toEqual(
    ["attest", "base", "sign", "scan", "sign", "verify", "promote"].map((stage) => `${stage}: pass`),
  );
  expect(promoted).toContain(`/vetted/${app}@sha256:`);
}
