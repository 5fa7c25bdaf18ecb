import { buildpacks, listBuildpacks } from "@goldenpath/core/build/strategies/buildpacks";
import { ownPolicy } from "@goldenpath/core/build/strategies/find";
import type { GateFacts } from "@goldenpath/core/gate/facts";
import type { LoadedPolicy, Policy } from "@goldenpath/core/policy/schema";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildProvenance, type ProvenanceFacts } from "@goldenpath/core/signing/provenance";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { CollectedEvidence, Statement, VerifiedStatement } from "@goldenpath/core/signing/types";
import { buildVerificationSummary, type SummaryFacts } from "@goldenpath/core/signing/verification-summary";
import type { Stage } from "@goldenpath/core/stages";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { expect } from "vitest";
import { decideGate } from "./decide-gate.ts";

export const now = new Date("2026-05-01T12:00:00Z");
export const minute = 60_000;
export const ago = (milliseconds: number): Date => new Date(now.getTime() - milliseconds);

export const repository = { registry: "registry.example", name: "quarantine/shop" };
export const image = digestOf("the image");
export const other = digestOf("another image");
export const buildpack = `registry.example/buildpacks/node@${digestOf("buildpack")}`;

export const policy: LoadedPolicy = {
  uri: "policy.yaml",
  digest: digestOf("the policy of serial 7"),
  policy: {
    version: 1,
    name: "acme",
    accepts: [],
    enforceFrom: {},
    activators: [],
    serial: 7,
    registries: { plainHttp: [], hosts: {} },
    signers: Object.fromEntries(
      ["build", "base", "scan", "promote"].map((name) => [name, { publicKey: `the key of ${name}` }]),
    ),
    bases: [{ name: "golden", image: "registry.example/bases/golden", digests: [digestOf("base")] }],
    build: {
      strategies: ["buildpacks"],
      isolation: ["container"],
      sources: ["https://github.com/acme/*"],
      builders: [{ name: "node", buildpacks: [buildpack], runImage: "golden" }],
      cache: "none",
    },
    forbiddenBases: [],
    images: { refuse: [], mustHave: [] },
    rules: [],
    sigstore: {},
    trustStores: {},
    scan: {
      failOn: "high",
      onlyFixed: false,
      scanners: ["grype"],
      failOnlyOn: "all",
      allowBlindSpots: [],
      ownWord: "accept",
      databaseMaxAge: 5 * 86_400_000,
    },
    exceptions: [],
    environments: {},
  },
};

export const environment: Policy["environments"][string] = {
  from: ["registry.example/quarantine"],
  to: ["registry.example/vetted"],
  requires: [
    { stage: "build", signers: ["build"], maxAge: 7 * 86_400_000 },
    { stage: "base", signers: ["base"] },
    { stage: "scan", signers: ["scan"], maxAge: 60 * minute },
  ],
  promoter: "promote",
  referrers: "all",
};

let counter = 0;

/**
 * A statement as collectEvidence gives it: what the registry and the signatures were asked about is already behind it.
 */
export function signed(statement: Statement, by: string[], subject: Digest = image): VerifiedStatement {
  counter++;
  const descriptor = (what: string) => ({
    mediaType: "application/x",
    digest: digestOf(`${what} ${counter}`),
    size: 1,
  });
  return { subject, signers: by, statement, bundle: descriptor("bundle"), referrer: descriptor("referrer") };
}

export function finding(
  type: string,
  by: string,
  of: Digest[] = [image],
  predicate: Record<string, unknown> = { bomFormat: "CycloneDX" },
): VerifiedStatement {
  return signed(buildStatement(buildSubjects(repository, of), type, predicate), [by], of[0]);
}

export function summary(
  stage: Stage,
  by: string,
  inputs: VerifiedStatement[],
  more: Partial<SummaryFacts> = {},
): VerifiedStatement {
  const facts: SummaryFacts = {
    stage,
    image: { repository, digest: image, children: [] },
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    passed: true,
    violations: 0,
    excepted: 0,
    timeVerified: ago(10 * minute),
    inputs: inputs.map((input) => ({ digest: input.bundle.digest, uri: "x:y" })),
    tools: [],
    ...more,
  };
  return signed(buildVerificationSummary(facts), [by], facts.image.digest);
}

export function provenance(by: string, more: Partial<ProvenanceFacts> = {}): VerifiedStatement {
  const facts: ProvenanceFacts = {
    image: { repository, digest: image, children: [] },
    source: { repository: "https://github.com/acme/shop", commit: "a".repeat(40), ref: "refs/heads/main" },
    buildEnvironment: "container",
    buildType: buildpacks.buildType,
    builders: policy.policy.build.builders,
    materials: listBuildpacks(ownPolicy(policy.policy, buildpacks).builders),
    bases: [{ repository: { registry: "registry.example", name: "bases/golden" }, digest: digestOf("base") }],
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    builderId: "https://github.com/acme/platform/.github/workflows/stage-build.yml@refs/heads/main",
    startedOn: ago(30 * minute),
    finishedOn: ago(20 * minute),
    ...more,
  };
  return signed(buildProvenance(facts), [by], facts.image.digest);
}

/**
 * The statement with one field of its predicate taken out or set otherwise, as a stage with another program would write
 * it.
 */
export function edited(
  from: VerifiedStatement,
  path: readonly (string | number)[],
  value?: unknown,
): VerifiedStatement {
  const statement = structuredClone(from.statement);
  let at = statement.predicate as Record<string | number, unknown>;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string | number, unknown>;
  const last = path.at(-1) ?? "";
  if (value === undefined) delete at[last];
  else at[last] = value;
  return { ...from, statement };
}

export interface Whole {
  provenance: VerifiedStatement;
  sbom: VerifiedStatement;
  base: VerifiedStatement;
  baseVerdict: VerifiedStatement;
  vulnerabilities: VerifiedStatement;
  scanVerdict: VerifiedStatement;
}

/** What the layers of the image unpack to. */
export const imageLayers: Digest[] = [digestOf("the base's layer"), digestOf("the application's layer")];

/** All of the evidence that the environment requires. */
export function whole(): Whole {
  const base = finding(predicateTypes.base, "base", [image], {
    children: [image, other].map((digest) => ({ digest, layers: imageLayers })),
  });
  const vulnerabilities = finding(predicateTypes.vulnerabilities, "scan");
  return {
    provenance: provenance("build"),
    sbom: finding(predicateTypes.cyclonedx, "build"),
    base,
    baseVerdict: summary("base", "base", [base]),
    vulnerabilities,
    scanVerdict: summary("scan", "scan", [vulnerabilities]),
  };
}

export function factsOf(
  statements: VerifiedStatement[],
  { image: about, ...more }: Partial<Omit<GateFacts, "image">> & { image?: Partial<GateFacts["image"]> } = {},
  rejected: CollectedEvidence["rejected"] = [],
  lapsed: CollectedEvidence["lapsed"] = [],
): GateFacts {
  return {
    environmentName: "production",
    environment,
    policy,
    now,
    place: "from",
    image: {
      repository,
      digest: image,
      children: [image],
      layers: new Map([image, other].map((digest) => [digest, imageLayers])),
      ...about,
    },
    evidence: new Map([[image, { statements, lapsed, rejected }]]),
    ...more,
  };
}

export function rulesOf(facts: GateFacts): string[] {
  const decision = decideGate(facts);
  expect(decision.verdict).toBe(decision.violations.length === 0 ? "pass" : "fail");
  for (const violation of decision.violations) {
    expect(violation.wayOut).not.toBe("");
    expect(violation.exception).toBeUndefined();
  }
  return decision.violations.map((violation) => violation.rule);
}

export type Case = [name: string, rules: string[], statements: (all: Whole) => VerifiedStatement[]];
export const without = (all: Whole, ...names: (keyof Whole)[]): VerifiedStatement[] =>
  Object.entries(all).flatMap(([name, statement]) => (names.includes(name as keyof Whole) ? [] : [statement]));
export const withScan = (make: (all: Whole) => VerifiedStatement[]): ((all: Whole) => VerifiedStatement[]) => {
  return (all) => [...without(all, "scanVerdict"), ...make(all)];
};
export const withProvenance = (more: Partial<ProvenanceFacts>) => (all: Whole) => [
  ...without(all, "provenance"),
  provenance("build", more),
];
export const withProvenanceEdit =
  (...edit: [path: (string | number)[], value?: unknown]) =>
  (all: Whole) => [...without(all, "provenance"), edited(all.provenance, ...edit)];
export const scanAs = (more: Partial<SummaryFacts>) =>
  withScan((all) => [summary("scan", "scan", [all.vulnerabilities], more)]);
export const scanEdit = (...edit: [path: (string | number)[], value?: unknown]) =>
  withScan((all) => [edited(all.scanVerdict, ...edit)]);
