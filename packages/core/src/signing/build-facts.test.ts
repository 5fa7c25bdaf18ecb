import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { policy, repository } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import type { BuildStrategy, RebasedView } from "../build/strategies/strategy.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { describeBuild } from "./build-facts.ts";

const digest = digestOf("what was rebased");
const { build } = policy.policy;
const rebases = { kind: "rebase" as const, name: "rebases", signers: ["rebaser"], most: 3 };
const loaded: LoadedPolicy = {
  ...policy,
  policy: {
    ...policy.policy,
    build: { ...build, strategies: ["buildpacks", "rebase"], builders: [...build.builders, rebases] },
  },
};
/** With the mark that buildpacks leave, which a rebase keeps. */
const config = {
  ...{ os: "linux", architecture: "amd64", rootfs: { type: "layers" as const, diff_ids: [] } },
  config: { Labels: { "io.buildpacks.lifecycle.metadata": "{}" } },
};
function describeRebased(rebased: RebasedView): Pick<BuildStrategy, "buildType"> {
  const view = { repository, digest, children: [], statements: [], now: new Date(), rebased };
  const base = { repository, digest: digestOf("base"), names: ["golden"] };
  const run = { builderId: "local" } as Parameters<typeof describeBuild>[2];
  return describeBuild({ repository, digest, children: [] } as never, loaded, run, [base], {
    ...{ strategy: "rebase", configs: [config], signed: view },
  });
}

test("what is against a rebase is said of what buildpacks made as well, and not that it bears their mark", () => {
  const images = [{ repository, digest: digestOf("old") }];
  const source = { repository: "https://github.com/acme/shop", version: "a".repeat(40) };
  expect(() => describeRebased({ images, source, objections: ["its layers are others"] })).toThrow(
    /'rebase' is of an image that was rebased, .*: its layers are others/,
  );
  expect(describeRebased({ images, source, objections: [] }).buildType).toContain("/rebase/v1");
});
