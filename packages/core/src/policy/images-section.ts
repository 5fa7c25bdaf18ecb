import type { Rule } from "@goldenpath/foundation/rules";
import { z } from "zod";
import { basePath, ownDay, text } from "./schema-text.ts";

/** What an image has or does that the policy may refuse, whatever it stands on. */
export const antipatterns = ["root-user", "secrets", "credentials", "package-caches", "committed"] as const;
export type Antipattern = (typeof antipatterns)[number];

/** The rule that refuses it. */
export const antipatternRules = {
  "root-user": "base.root-user",
  secrets: "base.secret",
  credentials: "base.credential",
  "package-caches": "base.package-cache",
  committed: "base.committed",
} as const satisfies Record<Antipattern, Rule>;

const dated = { enforceFrom: ownDay.optional() };

const requiredThing = z.union(
  [
    z.strictObject({ file: basePath.describe("A file or folder at this path."), ...dated }),
    z.strictObject({
      package: text.describe("A package of the operating system, as its database calls it."),
      ...dated,
    }),
    z.strictObject({
      label: text.describe("A label of the image's config."),
      value: text.optional().describe("The label's value. Default: any but an empty one."),
      ...dated,
    }),
  ],
  "expected one of: file, package, label (with or without value)",
);
export type RequiredThing = z.infer<typeof requiredThing>;

/** What tells it from others: `package curl`. */
export function nameThing(thing: RequiredThing): string {
  if ("file" in thing) return `file ${thing.file}`;
  if ("package" in thing) return `package ${thing.package}`;
  return `label ${thing.label}${thing.value === undefined ? "" : `=${thing.value}`}`;
}

export const imagesSection = z
  .strictObject({
    refuse: z
      .array(z.enum(antipatterns))
      .default([])
      .describe(
        "What no image may have above its base: root-user (it starts as root, or as nobody can tell whom), secrets (logins and private keys in a layer, an environment variable or the history, also where a later layer removes them), credentials (private keys and tokens of GitHub, GitLab, AWS and others in any text file of a layer, by their form, also where a later layer removes them), package-caches (what package managers leave in a layer), committed (a layer that was made of a running container instead of a build file).",
      ),
    mustHave: z
      .array(requiredThing)
      .default([])
      .describe("What every image must have, whoever brings it: an agent, certificates, a label with its owner."),
  })
  .default({ refuse: [], mustHave: [] })
  .describe("What images must look like, whatever they stand on.");
