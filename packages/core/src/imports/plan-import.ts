import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { Reference } from "@goldenpath/registry-client/oci/reference";
import { planTarget } from "../build/plan-target.ts";
import { ownPolicy } from "../build/strategies/find.ts";
import { image as strategy } from "../build/strategies/image.ts";
import { judgeSource } from "../gate/binding.ts";
import { isDay, isDayOver } from "../policy/day.ts";
import type { Policy } from "../policy/schema.ts";
import type { SignerMaterial } from "../signing/material.ts";
import { isSignerNamed } from "../signing/schemes/find.ts";
import { type ImportReason, imageSource } from "./statement.ts";

/** What is asked for. */
export interface ImportRequest extends ImportReason {
  /** Where it is now, by a tag, a digest or both. */
  source: Reference;
  /** References in quarantine, all in one repository. */
  to: readonly string[];
}

/** Where it goes. */
export type ImportTarget = ReturnType<typeof planTarget>;

/**
 * Holds an import to the policy, before anything is asked of a registry.
 * @throws UserError `import-incomplete`, `import-signer`, as the plan of a build; PolicyViolation of the rules
 *   `build.quarantine`, `build.image`
 */
export function planImport(
  policy: Policy,
  { source, to, reason, owner, until }: ImportRequest,
  signer: SignerMaterial,
  now: Date,
): ImportTarget {
  for (const [what, text] of Object.entries({ reason, owner })) {
    if (text.trim() === "") throw incomplete(`--${what} is empty: the statement says it`);
  }
  if (!isDay(until)) throw incomplete(`--until is '${until}', and is to be a day, YYYY-MM-DD`);
  if (isDayOver(until, now)) throw incomplete(`--until is ${until}, which is over`);
  requireImporter(policy, signer);
  const uri = imageSource({ repository: source });
  const sources = policy.build.sources.map((each) =>
    typeof each === "string" ? each : { ...each, workflows: undefined },
  );
  const built = { sourceRepository: uri, sourceRef: undefined, event: undefined, callerId: undefined, builderId: "" };
  const [against] = judgeSource({ ...policy, build: { ...policy.build, sources } }, built, undefined);
  if (against !== undefined) {
    throw new PolicyViolation(`${uri} is not imported: ${against.problem}`, {
      code: "origin-unproven",
      rule: "build.image",
      wayOut: `Have ${uri} added to the policy's build.sources, with where it may go.`,
    });
  }
  return planTarget(policy, to, "--to");
}

/** @throws UserError `import-signer` */
function requireImporter(policy: Policy, signer: SignerMaterial): void {
  const builders = policy.build.strategies.includes(strategy.name) ? ownPolicy(policy, strategy).builders : [];
  const names = [...new Set(builders.flatMap((builder) => builder.import?.signers ?? []))];
  if (names.some((name) => isSignerNamed(policy.signers, name, signer))) return;
  throw new UserError(
    `this is not the key of who imports under policy '${policy.name}' (${names.map((name) => `'${name}'`).join(", ") || "it has nobody who does"})`,
    {
      code: "import-signer",
      wayOut:
        "Sign with that key, or have the policy's owners add the signer to a builder of kind image, under `import`.",
    },
  );
}

function incomplete(problem: string): UserError {
  return new UserError(`goldenpath import: ${problem}`, {
    code: "import-incomplete",
    wayOut: "Say --reason and --owner, and --until with the last day on which the image may be used.",
  });
}
