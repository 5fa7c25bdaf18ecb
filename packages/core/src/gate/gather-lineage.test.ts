import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import { environment, image, policy, provenance, repository } from "@goldenpath/testing/gate-evidence";
import { expect, test } from "vitest";
import { rebase, rebasedImage } from "../build/strategies/rebase.ts";
import { gatherLineage } from "./gather-lineage.ts";

// A client that has whatever it is asked for stands in for a registry that somebody has filled with thousands of images.

const config = Buffer.from('{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}');
const described = { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.byteLength };
const manifest = { schemaVersion: 2 as const, config: described, layers: [] };
const loaded = { policy: { ...policy.policy, environments: { production: environment } } };

/** Statements that an image was rebased from each of these. */
const from = (of: Digest, olds: readonly Digest[]) => {
  const statements = olds.map((old) =>
    provenance("build", {
      image: { repository, digest: of, children: [] },
      buildType: rebase.buildType,
      materials: [{ repository, digest: old, name: rebasedImage }],
      bases: [],
    }),
  );
  return new Map([[of, { statements, lapsed: [], rejected: [] }]]);
};
const factsOf = (digest: Digest): ImageFacts => ({
  ...{ reference: { ...repository, digest }, mediaType: mediaTypes.ociManifest, size: 1, children: [] },
});

async function gather(olds: (of: Digest) => Digest[], isThere = true) {
  const asked: string[] = [];
  const client = {
    fetchManifest: async ({ digest = image }: { digest?: Digest }) => {
      asked.push(digest);
      if (!isThere) throw new UserError("it is not there", { code: "image-not-found" });
      return { kind: "image", mediaType: mediaTypes.ociManifest, digest, bytes: config, manifest };
    },
    fetchBlob: async () => config,
  } as unknown as RegistryClient;
  const lineage = await gatherLineage(client, loaded, factsOf(image), from(image, olds(image)), {
    gatherEvidence: async ({ reference: { digest } }) => from(digest, olds(digest)),
  });
  return {
    asked,
    problems: [...(lineage?.values() ?? [])].flatMap((each) => ("problem" in each ? [each.problem] : [])),
  };
}

test("nothing is asked where nobody says that it was rebased", async () => {
  expect(await gather(() => [])).toEqual({ asked: [], problems: [] });
});

test("each image once, and 64 with the first one at most, however many are named", async () => {
  const many = (of: Digest) => Array.from({ length: 32 }, (_, index) => digestOf(`${of} ${index}`));
  const { asked, problems } = await gather(many);
  expect(asked).toHaveLength(63);
  expect(problems).toContain("of more than 64 images it is said that it goes back to them");
  const [a, b, c] = ["a", "b", "c"].map((name) => digestOf(name)) as [Digest, Digest, Digest];
  // Two go back to a third, and that to the first.
  const round = (of: Digest) => (of === image ? [a, b] : of === c ? [image] : [c]);
  expect(await gather(round)).toEqual({ asked: [a, b, c], problems: [] });
});

test("what is not there is said", async () => {
  expect((await gather(() => [digestOf("gone")], false)).problems).toEqual([
    `registry.example/quarantine/shop@${digestOf("gone")} is not in its registry`,
  ]);
});
