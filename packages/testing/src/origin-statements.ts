import type { SignedStatement, SignedView } from "@goldenpath/core/build/strategies/strategy";
import { findOrigin, type OriginRule } from "@goldenpath/core/origin/judge-origin";
import { githubBuildType } from "@goldenpath/core/origin/read-foreign";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { digestHex } from "@goldenpath/registry-client/oci/digest";
import { fakeDigest } from "./policy.ts";

// What others have signed about an image of two platforms, and the rules by which some of it counts.

export const root = fakeDigest("a");
export const [amd, arm] = [fakeDigest("b"), fakeDigest("c")];
export const now = new Date("2026-05-01T12:00:00Z");
export const commit = "d".repeat(40);
export const repository = "https://github.com/acme/shop";
export const ci = "https://ci.acme.example/builders/v3";
export const ciType = "https://ci.acme.example/build-types/container/v1";

export const rules: OriginRule[] = [
  { name: "pipeline", provenance: { signers: ["pipeline"], builders: [ci], buildTypes: [ciType] } },
  {
    name: "github",
    provenance: {
      signers: ["github"],
      builders: ["https://github.com/acme/platform/.github/workflows/build.yml@refs/tags/*"],
      buildTypes: [githubBuildType],
    },
  },
  { name: "vendors", import: { signers: ["importer"] } },
];

let counter = 0;
export const signed = (
  predicateType: string,
  predicate: Record<string, unknown>,
  by: string,
  subject = root,
): SignedStatement => ({
  subject,
  signers: [by],
  statement: { predicateType, predicate },
  bundle: { digest: fakeDigest((++counter % 16).toString(16)) },
});

export interface Ci {
  id?: string;
  type?: string;
  dependencies?: unknown[];
  finishedOn?: string;
}
export const dependency = { uri: `git+${repository}@refs/heads/main`, digest: { gitCommit: commit } };
export const ciPredicate = ({ id = ci, type = ciType, dependencies = [dependency], finishedOn }: Ci = {}) => ({
  buildDefinition: { buildType: type, externalParameters: { anything: 1 }, resolvedDependencies: dependencies },
  runDetails: { builder: { id }, ...(finishedOn === undefined ? {} : { metadata: { finishedOn } }) },
});
export const byCi = (more: Ci = {}, by = "pipeline", subject = root) =>
  signed(predicateTypes.provenance, ciPredicate(more), by, subject);

export const workflow = { repository, ref: "refs/heads/main", path: ".github/workflows/release.yml" };
export const githubPredicate = ({
  external = { workflow } as unknown,
  internal = { github: { event_name: "push" } } as unknown,
  dependencies = [dependency] as unknown[],
  id = "https://github.com/acme/platform/.github/workflows/build.yml@refs/tags/v1.2.3",
} = {}) => ({
  buildDefinition: {
    buildType: githubBuildType,
    externalParameters: external,
    internalParameters: internal,
    resolvedDependencies: dependencies,
  },
  runDetails: { builder: { id }, metadata: { invocationId: `${repository}/actions/runs/1/attempts/1` } },
});
export const byGithub = (more: Parameters<typeof githubPredicate>[0] = {}, by = "github") =>
  signed(predicateTypes.provenance, githubPredicate(more), by);

/** Of the certificate of a run that built that commit. */
export const identity = {
  issuer: "https://token.actions.githubusercontent.com",
  buildSignerUri: "https://github.com/acme/platform/.github/workflows/build.yml@refs/tags/v1.2.3",
  buildSignerDigest: "c".repeat(40),
  runnerEnvironment: "github-hosted",
  sourceRepository: repository,
  sourceOwnerId: "4321",
  sourceRef: "refs/heads/main",
  sourceDigest: commit,
  buildConfigUri: `${repository}/.github/workflows/release.yml@refs/heads/main`,
  buildTrigger: "push",
};

export const redis = "oci://docker.io/library/redis";
export const importPredicate = (more: Record<string, unknown> = {}, of = root) => ({
  source: { uri: redis, digest: { sha256: digestHex(of) }, tag: "7.4" },
  reason: "sessions",
  owner: "team-shop",
  until: "2026-06-30",
  importedOn: "2026-04-01T00:00:00Z",
  policy: { uri: "policy.yaml", digest: { sha256: digestHex(fakeDigest("9")) }, serial: 7 },
  ...more,
});
export const imported = (more: Record<string, unknown> = {}, by = "importer", subject = root) =>
  signed(predicateTypes.import, importPredicate(more), by, subject);

export const view = (statements: readonly SignedStatement[], children = [amd, arm]): SignedView => ({
  repository: { registry: "r.test", name: "quarantine/shop" },
  digest: root,
  children,
  statements,
  now,
});
export const find = (statements: readonly SignedStatement[], children?: (typeof amd)[]) =>
  findOrigin(view(statements, children), rules);
export const tell = (statements: readonly SignedStatement[], children?: (typeof amd)[]) => {
  const found = find(statements, children);
  return "objections" in found
    ? found.objections.map(({ problem }) => problem).join("; ")
    : `${found.builders.join()} ${found.source.repository} ${found.source.version}`;
};
export const ofShop = (builder: string) => `${builder} ${repository} ${commit}`;
