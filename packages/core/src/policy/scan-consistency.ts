import { type Inconsistency, unknown } from "./inconsistency.ts";
import type { RefusalGate } from "./scan-section.ts";
import type { Policy } from "./schema.ts";

/** What is wrong between what a policy says of findings and the rest of it. */
export function checkScanSection(policy: Policy): Inconsistency[] {
  const { scan, environments } = policy;
  return [
    ...checkComparison(policy),
    ...checkOtherSigners(policy),
    ...checkReporters(policy),
    ...checkGates(scan.refuse, ["scan", "refuse"]),
    ...Object.entries(environments).flatMap(([name, { refuse, requires }]) => {
      const path = ["environments", name, "refuse"];
      if (refuse === undefined) return [];
      // Nothing would be signed that it could judge.
      const message = "the environment does not require stage scan, whose findings it would judge";
      return [
        ...(requires.some(({ stage }) => stage === "scan") ? [] : [{ path, message }]),
        ...checkGates(refuse, path),
      ];
    }),
  ];
}

/** Whoever builds or judges would otherwise be the one who says that what was found is nothing, or what there is. */
function checkOtherSigners(policy: Policy): Inconsistency[] {
  const { vex, data } = policy.scan;
  const alsoVex = (data?.signers ?? []).flatMap((signer, index) =>
    vex?.signers.includes(signer) === true
      ? [{ path: ["scan", "data", "signers", index], message: `'${signer}' says VEX as well` }]
      : [],
  );
  return [
    ...checkSigners(policy, vex?.signers, ["scan", "vex", "signers"]),
    ...checkSigners(policy, data?.signers, ["scan", "data", "signers"]),
    ...alsoVex,
  ];
}

function checkReporters(policy: Policy): Inconsistency[] {
  const { reports = [], scanners } = policy.scan;
  return reports.flatMap(({ name, signers }, index) => {
    const path = ["scan", "reports", index];
    const isAnothers = reports.findIndex((other) => other.name === name) !== index;
    return [
      ...(isAnothers ? [{ path: [...path, "name"], message: `'${name}' is the name of another reporter` }] : []),
      ...(scanners.includes(name)
        ? [{ path: [...path, "name"], message: `'${name}' is a scanner of this policy` }]
        : []),
      ...checkSigners(policy, signers, [...path, "signers"]),
    ];
  });
}

function checkSigners(
  { signers, environments }: Policy,
  named: readonly string[] = [],
  at: readonly PropertyKey[],
): Inconsistency[] {
  return named.flatMap((signer, index) => {
    const path = [...at, index];
    if (!Object.hasOwn(signers, signer)) return [unknown(path, signer, "signer", Object.keys(signers))];
    const speaks = Object.values(environments).some(
      ({ promoter, requires }) => promoter === signer || requires.some((each) => each.signers.includes(signer)),
    );
    return speaks ? [{ path, message: `'${signer}' speaks for a stage as well` }] : [];
  });
}

function checkGates(gates: readonly RefusalGate[] = [], path: PropertyKey[]): Inconsistency[] {
  return gates.flatMap(({ name }, index) =>
    gates.findIndex((other) => other.name === name) === index
      ? []
      : [{ path: [...path, index, "name"], message: `'${name}' is the name of another gate of this list` }],
  );
}

/** What may be let pass as known has to be bound, or a caller could choose an image that has what his own brings. */
function checkComparison({ scan: { failOnlyOn, comparison }, environments }: Policy): Inconsistency[] {
  if (comparison === undefined) {
    const message = "has no `comparison`, which says whose findings are let pass as known";
    return failOnlyOn === "new" ? [{ path: ["scan", "failOnlyOn"], message: `new ${message}` }] : [];
  }
  if (failOnlyOn !== "new")
    return [{ path: ["scan", "comparison"], message: "is for `failOnlyOn: new`, which is not set" }];
  const path = ["scan", "comparison", "environment"];
  const environment = Object.hasOwn(environments, comparison.environment)
    ? environments[comparison.environment]
    : undefined;
  if (environment === undefined)
    return [unknown(path, comparison.environment, "environment", Object.keys(environments))];
  return (["build", "scan"] as const)
    .filter((stage) => !environment.requires.some((each) => each.stage === stage))
    .map((stage) => ({ path, message: `'${comparison.environment}' does not require stage ${stage}` }));
}
