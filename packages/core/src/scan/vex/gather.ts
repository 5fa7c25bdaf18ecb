import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import type { Policy } from "../../policy/schema.ts";
import type { Violation } from "../../result.ts";
import { collectEvidence } from "../../signing/collect.ts";
import { sbomPackages } from "../catalog.ts";
import type { ExaminedChild } from "../examine.ts";
import type { Finding } from "../finding.ts";
import { type ChosenVex, chooseVex, describeUnmatched, judgeVex } from "./judge.ts";
import { matchVex, type UnmatchedVex, type VexAnswer } from "./match.ts";
import type { VexStatement } from "./statement.ts";

export interface VexReader {
  /** What is said of one platform's findings: about its image, about the index, and of the base's about its base. */
  answer(examined: ExaminedChild): Promise<(finding: Finding) => VexAnswer | undefined>;
  /** After all platforms: what is wrong with what was said, and what is only told. */
  conclude(): { violations: Violation[]; notes: string[] };
}

/**
 * VEX by whom the policy names, from what is attached to the image and to its base; undefined where the policy names
 * nobody. Everybody else's counts for nothing.
 */
export function openVex(
  client: RegistryClient,
  image: ImageFacts,
  policy: Pick<Policy, "scan" | "signers">,
  now: Date,
): VexReader | undefined {
  const { vex } = policy.scan;
  if (vex === undefined) return undefined;
  const repository: Repository = { registry: image.reference.registry, name: image.reference.name };
  const collected = new Map<string, Promise<ChosenVex>>();
  const choose = (of: Repository, digest: Digest, about: "image" | "base", digests: Digest[]): Promise<ChosenVex> => {
    const key = `${about} ${formatReference({ ...of, digest })}`;
    const chosen =
      collected.get(key) ??
      collectEvidence(client, of, digest, policy.signers, { now }).then((evidence) =>
        chooseVex(evidence, vex.signers, { about, digests }, now),
      );
    collected.set(key, chosen);
    return chosen;
  };
  const problems = new Map<string, ChosenVex["problems"][number]>();
  const matched = new Set<VexStatement>();
  const unmatched = new Map<VexStatement, UnmatchedVex>();
  return {
    async answer({ child, base, findings, sbom }) {
      const root = image.reference.digest;
      const own = [...new Set([root, child.digest])].map((digest) =>
        choose(
          repository,
          digest,
          "image",
          digest === root ? [root, ...image.children.map((each) => each.digest)] : [digest, root],
        ),
      );
      const bases = base === undefined ? [] : [...new Set([base.digest, base.child])];
      const ofBase = bases.map((digest) => choose(parseRepository(base?.image ?? ""), digest, "base", bases));
      const chosen = await Promise.all([...own, ...ofBase]);
      for (const each of chosen.flatMap((some) => some.problems)) problems.set(JSON.stringify(each), each);
      const purls = sbomPackages(sbom).flatMap(({ purl }) => purl ?? []);
      const answers = matchVex(
        chosen.flatMap(({ documents }) => documents),
        { findings, purls },
      );
      for (const statement of answers.matched) matched.add(statement);
      for (const each of answers.unmatched) unmatched.set(each.statement, each);
      return answers.answerFor;
    },
    conclude() {
      // A statement about an index may concern one of its images alone.
      const left = [...unmatched.values()].filter(({ statement }) => !matched.has(statement));
      const isTold = vex.unmatched === "tell";
      return {
        violations: judgeVex(
          formatReference({ ...repository, digest: image.reference.digest }),
          [...problems.values()],
          isTold ? [] : left,
        ),
        notes: isTold ? left.map((each) => `VEX of ${each.signer}: ${describeUnmatched(each)}`) : [],
      };
    },
  };
}
