import { PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import {
  formatReference,
  formatRepository,
  isSameRepository,
  isWithin,
  parseReference,
  type Reference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import type { Policy } from "../policy/schema.ts";
import { isEvidenceTag } from "../tags/evidence-tag.ts";

/** Where an image goes, and what a reader of the log should know about that. */
export interface PlannedTarget {
  repository: Repository;
  /** At least one, each with its tag and without a digest, all in `repository`. */
  tags: [Reference, ...Reference[]];
  remarks: string[];
}

/**
 * Where an image goes.
 * @param where the texts were given, for messages
 * @throws UserError `tags-missing`, `tag-invalid`, `tags-differ`, `input-invalid`; PolicyViolation of the rule
 *   `build.quarantine`
 */
export function planTarget(policy: Policy, texts: readonly string[], where: "input 'tags'" | "--to"): PlannedTarget {
  const { repository, tags } = planTags(texts, where);
  return { repository, tags, remarks: requireQuarantine(policy, repository) };
}

function planTags(
  texts: readonly string[],
  where: string,
): { repository: Repository; tags: [Reference, ...Reference[]] } {
  const references = [...new Set(texts)].map((text) => {
    const reference = parseReference(text, `${where}:`);
    if (reference.digest !== undefined || reference.tag === undefined) {
      throw new UserError(
        `${where}: '${text}' ${reference.digest === undefined ? "has no tag" : "has a digest, which is what the build comes up with"}`,
        { code: "tag-invalid", wayOut: "Write each line as HOST/NAME:TAG." },
      );
    }
    // A rule makes a tag of a branch's name, which is for whoever pushes the branch to choose.
    if (isEvidenceTag(reference.tag)) {
      throw new UserError(`${where}: '${text}' has a tag under which registries keep the evidence of images`, {
        code: "input-invalid",
        wayOut: "Use a tag that is a version or a name; call the branch otherwise, where it is of its name.",
      });
    }
    return reference;
  });
  const [first, ...rest] = references;
  if (first === undefined) {
    throw new UserError(`${where} is empty: it says where the image goes`, {
      code: "tags-missing",
      wayOut: "Give at least one line HOST/NAME:TAG, in quarantine.",
    });
  }
  const repository = { registry: first.registry, name: first.name };
  const stray = rest.find((reference) => !isSameRepository(reference, repository));
  if (stray !== undefined) {
    // A result is about one digest in one repository; a copy elsewhere would have none of the evidence.
    throw new UserError(
      `${where}: '${formatReference(stray)}' is not in the repository of the first, ${formatRepository(repository)}`,
      {
        code: "tags-differ",
        wayOut: "Put all tags in one repository; promote copies an image to others, with its evidence.",
      },
    );
  }
  return { repository, tags: [first, ...rest] };
}

/** What strangers' code made goes into quarantine: a repository that the policy promotes *to* is for promote alone. */
function requireQuarantine(policy: Policy, repository: Repository): string[] {
  const environments = Object.entries(policy.environments);
  const vetted = environments.find(([, environment]) => environment.to.some((prefix) => isWithin(repository, prefix)));
  if (vetted !== undefined) {
    throw new PolicyViolation(
      `${formatRepository(repository)} is where policy '${policy.name}' promotes to for '${vetted[0]}': a build must not push there`,
      {
        code: "build-not-in-quarantine",
        rule: "build.quarantine",
        wayOut: `Push to a repository under ${[...new Set(environments.flatMap(([, environment]) => environment.from))].join(" or ")}.`,
      },
    );
  }
  if (environments.some(([, environment]) => environment.from.some((prefix) => isWithin(repository, prefix))))
    return [];
  return [
    `no environment of policy '${policy.name}' takes images from ${formatRepository(repository)}: this one can't be promoted from there`,
  ];
}
