import { basename, resolve } from "node:path";
import { expect } from "vitest";
import type { Language } from "../../examples/golden-platform/languages.ts";
import { examples } from "./golden-platform.ts";
import type { LanguageWorld } from "./language-world.ts";

/** Takes one of the example applications, or a folder, from its folder to a promotion, and asks its container for a page. */
export async function expectWholePath(
  world: LanguageWorld,
  app: string,
  words: string,
  language?: Language,
  module?: string,
) {
  const folder = resolve(examples, "apps", app);
  const outcome = await world.build(folder, language, {}, module === undefined ? {} : { module });
  expect(outcome.verdict, outcome.log.join("\n")).toBe("pass");
  await expectRest(world, outcome.outputs["image"] ?? "", words, basename(folder));
}

/** Asks the container of what was built for a page, and takes it on to a promotion to `vetted/NAME`. */
export async function expectRest(world: LanguageWorld, image: string, words: string, name: string): Promise<void> {
  await world.docker.docker("pull", image);
  expect(await world.docker.askForPage(image)).toMatchObject({ status: 200, text: expect.stringContaining(words) });
  const { said, promoted } = await world.takeAlong(image);
  expect(said).toEqual(
    ["attest", "base", "sign", "scan", "sign", "verify", "promote"].map((stage) => `${stage}: pass`),
  );
  expect(promoted).toContain(`/vetted/${name}@sha256:`);
}
