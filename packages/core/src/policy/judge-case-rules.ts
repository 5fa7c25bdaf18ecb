import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { listScanFacts, settleRules } from "../scan/rule-facts.ts";
import type { CaseFacts, CaseProblem } from "./case-facts.ts";
import type { PolicyCase } from "./cases.ts";
import { listAskable } from "./custom-rules/askable.ts";
import type { FactValues } from "./custom-rules/facts.ts";
import { judgeRules } from "./custom-rules/judge-rules.ts";

const image = digestOf("the image");
const platform = "linux/amd64";
const somewhere = "registry.example/case";

export function judgeCaseBaseRules({ what, loaded: { policy }, now }: CaseFacts, base: Digest): CaseProblem[] {
  const { config, layers, installed, approvedOn } = what;
  const stoodOn = policy.bases.find(({ digests }) => digests.includes(base));
  const facts: FactValues = {
    image: { repository: repositoryOf(what), digest: image, platform },
    now,
    ...(config === undefined ? {} : { config: tellConfig(config) }),
    ...(layers === undefined ? {} : { layers: layers.map(tellLayer) }),
    ...(installed === undefined ? {} : { packages: installed.map((each) => ({ ...each, architecture: "" })) }),
    ...(stoodOn === undefined
      ? {}
      : {
          base: {
            ...{ name: stoodOn.name, image: stoodOn.image, digest: base },
            ...(stoodOn.until === undefined ? {} : { until: stoodOn.until }),
            ...(approvedOn === undefined ? {} : { approvedAt: new Date(`${approvedOn}T00:00:00Z`) }),
          },
        }),
  };
  return tellRules(judgeRules(listAskable(policy.rules, facts), "base", facts), { what, loaded: { policy }, now });
}

/** Rules of stage scan, of what the case says was found and is in the SBOM. */
export function judgeCaseScanRules(
  { what, loaded: { policy }, now, findings }: CaseFacts,
  sbom: Record<string, unknown>,
): CaseProblem[] {
  const facts = listScanFacts({
    image: { repository: repositoryOf(what), digest: image, platform },
    ...{ findings, sbom, now },
  });
  return tellRules(judgeRules(policy.rules, "scan", facts), { what, loaded: { policy }, now });
}

function tellRules(
  broken: ReturnType<typeof judgeRules>,
  { what, loaded: { policy }, now }: { what: PolicyCase; loaded: Pick<CaseFacts["loaded"], "policy">; now: Date },
): CaseProblem[] {
  return settleRules(broken, {
    ...{ image: `${repositoryOf(what)}@${image}`, repository: repositoryOf(what) },
    ...{ exceptions: policy.exceptions, enforceFrom: policy.enforceFrom, now },
  })
    .filter(({ exception }) => exception === undefined)
    .map(({ rule, problem, enforcedFrom }) => ({
      ...{ rule, problem },
      ...(enforcedFrom === undefined ? {} : { from: enforcedFrom }),
    }));
}

const repositoryOf = ({ image: said }: PolicyCase): string => formatRepository(parseRepository(said ?? somewhere));

function tellConfig({ env, labels, ...others }: NonNullable<PolicyCase["config"]>): Record<string, unknown> {
  return { ...others, env: new Map(Object.entries(env)), labels: new Map(Object.entries(labels)) };
}

function tellLayer({ size, from }: NonNullable<PolicyCase["layers"]>[number], index: number): Record<string, unknown> {
  const digest = digestOf(`layer ${index}`);
  return { digest, diffId: digest, size: BigInt(size), from };
}
