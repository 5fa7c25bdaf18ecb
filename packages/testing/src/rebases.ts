import { planRebase } from "@goldenpath/core/base/rebase/plan";
import { type RebaseBuilder, rebase, rebasedImage } from "@goldenpath/core/build/strategies/rebase";
import type { LineageBase, LineageChild, LineageImage } from "@goldenpath/core/gate/lineage";
import type { Withdrawal } from "@goldenpath/core/policy/pointer-facts";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import type { ProvenanceFacts } from "@goldenpath/core/signing/provenance";
import type { VerifiedStatement } from "@goldenpath/core/signing/types";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type ImageConfig, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { ago, finding, policy, provenance, repository } from "./gate-evidence.ts";

// An image on an old base, what was put on a new one, and what is signed of either.

export const day = 86_400_000;
export const bases = { registry: "registry.example", name: "bases/golden" };
export const [oldBase, newBase, newerBase] = ["base", "new base", "newer base"].map((name) => {
  const child = part(digestOf(name), [`layer of ${name}`], {});
  return { repository: bases, digest: child.digest, child };
}) as [LineageBase, LineageBase, LineageBase];
export const [old, middle] = [digestOf("the old image"), digestOf("the image between")];

export function part(digest: Digest, layers: readonly string[], more: Partial<ImageConfig>): LineageChild {
  const descriptor = (name: string) => ({ mediaType: mediaTypes.ociLayerTarGzip, digest: digestOf(name), size: 1 });
  return {
    digest,
    manifest: {
      schemaVersion: 2,
      config: descriptor("config"),
      layers: layers.map((each) => descriptor(`${each}.gz`)),
    },
    config: {
      ...{ os: "linux", architecture: "amd64", config: { Entrypoint: ["/app"] }, ...more },
      rootfs: { type: "layers", diff_ids: layers.map((each) => digestOf(each)) },
    },
  };
}
export const application = part(old, ["layer of base", "app"], {});

/** The child on another base, as a rebase makes it. */
export function putOn(digest: Digest, from: LineageChild, below: LineageBase, onto: LineageBase): LineageChild {
  const newName = `registry.example/bases/golden@${onto.digest}`;
  const { config, manifest } = planRebase({
    ...{ image: from, oldBase: below.child, newBase: onto.child, newName, newDigest: onto.digest },
  });
  return { digest, config, manifest: { ...from.manifest, ...manifest } };
}

export const rebaser = (more: Partial<RebaseBuilder> = {}): RebaseBuilder => ({
  ...{ kind: "rebase", name: "rebases", signers: ["rebaser"], most: 3 },
  ...more,
});
export function policyWith(
  builders: readonly RebaseBuilder[],
  withdrawals: readonly Withdrawal["thing"][] = [],
): LoadedPolicy {
  const { build } = policy.policy;
  const at = { reason: "a leaked key", owner: "security@acme.example", at: ago(day) };
  const told = { predecessors: [], withdrawals: withdrawals.map((thing) => ({ thing, ...at })) };
  const inForce = told as unknown as NonNullable<LoadedPolicy["inForce"]>;
  return {
    ...policy,
    policy: {
      ...policy.policy,
      bases: [
        {
          name: "golden",
          image: "registry.example/bases/golden",
          digests: [oldBase, newBase, newerBase].map((each) => each.digest),
        },
        { name: "other", image: "registry.example/bases/other", digests: [] },
      ],
      build: { ...build, strategies: ["buildpacks", "rebase"], builders: [...build.builders, ...builders] },
    },
    ...(withdrawals.length === 0 ? {} : { inForce }),
  };
}

export interface Told extends Partial<ProvenanceFacts> {
  of: Digest;
  /** Besides the image itself. */
  children?: readonly Digest[];
  by?: string;
}
export const built = ({ of, children = [], by = "build", ...more }: Told): VerifiedStatement[] => [
  provenance(by, { image: { repository, digest: of, children }, ...more }),
  finding(predicateTypes.cyclonedx, by, [of, ...children]),
];
/** The provenance of a rebase, by its builders, from an image onto a base. */
export const rebased = (
  from: Digest,
  onto: LineageBase,
  more: Told & { named?: readonly string[] },
): VerifiedStatement[] => {
  const { named = ["rebases"], ...told } = more;
  return built({
    by: "rebaser",
    buildType: rebase.buildType,
    buildEnvironment: "elsewhere",
    builders: named.map((name) => ({ name })) as unknown as ProvenanceFacts["builders"],
    bases: [onto],
    materials: [{ repository, digest: from, name: rebasedImage }],
    ...told,
  });
};

export const seen = (
  of: Digest,
  children: LineageChild[],
  statements: VerifiedStatement[],
  found: LineageBase[],
): [Digest, LineageImage] => [
  of,
  {
    ...{ repository, digest: of, children, bases: found },
    evidence: new Map(
      [of, ...children.map(({ digest }) => digest)].map((digest) => [
        digest,
        { statements: statements.map((each) => ({ ...each, subject: digest })), lapsed: [], rejected: [] },
      ]),
    ),
  },
];
