import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { platformOf } from "../base/identify.ts";
import { judgeRules } from "../policy/custom-rules/judge-rules.ts";
import type { Policy } from "../policy/schema.ts";
import type { Violation } from "../result.ts";
import type { ExaminedChild } from "./examine.ts";
import { judgePackages } from "./package-gates.ts";
import { listScanFacts, settleRules } from "./rule-facts.ts";

interface ContentFacts {
  examined: ExaminedChild;
  policy: Policy;
  repository: Repository;
  now: Date;
  /** Set where this is one platform of an index. */
  platform?: string;
}

/** What of an image's packages the policy refuses, and by rules of its own of what was found besides. */
export function judgeContents({ examined, policy, repository, now, ...place }: ContentFacts): Violation[] {
  const { child, findings, sbom } = examined;
  const { exceptions, enforceFrom } = policy;
  const image = `${formatRepository(repository)}@${child.digest}`;
  const named = { repository: formatRepository(repository), digest: child.digest };
  const facts = listScanFacts({
    // By its own config: what the index says of it would be another in another index, and the image's verdict the same.
    image: { ...named, platform: formatPlatform(platformOf(child)) },
    ...{ findings, sbom, now },
  });
  return [
    ...judgePackages({ sbom, policy: policy.scan, exceptions, enforceFrom, now, image, ...place }),
    ...settleRules(judgeRules(policy.rules, "scan", facts), {
      ...{ image, repository: named.repository, exceptions, enforceFrom, now },
      ...place,
    }),
  ];
}
