import { attachStatement } from "@goldenpath/core/signing/attach";
import {
  attestationTag,
  encodeTagManifest,
  maxTagLayers,
  nameCosignTag,
  signatureTag,
} from "@goldenpath/core/signing/cosign-tags";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { withLegacy } from "@goldenpath/core/signing/schemes/key/sign";
import type { Statement } from "@goldenpath/core/signing/types";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import {
  type EvidenceRegistry,
  startEvidenceRegistry,
  statementAbout,
  verdictAbout,
} from "@goldenpath/testing/evidence-registry";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

// What is written under cosign's tags; what cosign says of it, test/interop has.

let registry: EvidenceRegistry;
let own: StageKey;
beforeAll(async () => {
  registry = await startEvidenceRegistry(true);
  own = await makeKey();
});
afterAll(() => registry?.close());
afterEach(() => vi.restoreAllMocks());

interface Place {
  repository: Repository;
  image: Descriptor;
}
const attach = ({ repository, image }: Place, statement: Statement, client: RegistryClient = registry.client) =>
  attachStatement(client, { repository, image, children: [] }, statement, withLegacy(own.signer), new Date());
const tagOf = ({ repository, image }: Place, kind = attestationTag) => ({
  ...repository,
  tag: nameCosignTag(image.digest, kind),
});

/** How many layers are under a tag; 0 where there is none. */
async function count(place: Place, kind = attestationTag): Promise<number> {
  if ((await registry.client.resolve(tagOf(place, kind))) === undefined) return 0;
  const found = await registry.client.fetchManifest(tagOf(place, kind));
  return found.kind === "image" ? found.manifest.layers.length : 0;
}

describe("a signature of the older form", () => {
  test.each<[string, number, (place: Place) => Statement]>([
    ["is not made of a verdict that fails", 0, (at) => verdictAbout(at.repository, [at.image.digest], false)],
    ["nor of what a stage found", 0, (at) => statementAbout(at.repository, [at.image.digest])],
    [
      "nor of where it was built",
      0,
      (at) => statementAbout(at.repository, [at.image.digest], predicateTypes.provenance),
    ],
    ["and is of a verdict that passes", 1, (at) => verdictAbout(at.repository, [at.image.digest], true)],
  ])("%s", async (_what, signatures, statementOf) => {
    const place = await registry.newImage();
    await attach(place, statementOf(place));
    expect(await count(place)).toBe(1);
    expect(await count(place, signatureTag)).toBe(signatures);
  });
});

/** Somebody else is faster, so many times. */
function contended(times: number): RegistryClient {
  let left = times;
  return {
    ...registry.client,
    setTag: async (...given) => {
      if (left-- > 0) throw new InfrastructureError("somebody was faster", { code: "tag-moved", wayOut: "Again." });
      return registry.client.setTag(...given);
    },
  };
}

describe("a tag that others write", () => {
  test("is given up after eight tries, and not when the eighth is the one that stays", async () => {
    vi.spyOn(Math, "random").mockReturnValue(0);
    const [one, two] = [await registry.newImage(), await registry.newImage()];
    const about = ({ repository, image }: Place) => statementAbout(repository, [image.digest]);
    await expect(attach(one, about(one), contended(8))).rejects.toMatchObject({ code: "tag-moved" });
    expect(await count(one)).toBe(0);
    await attach(two, about(two), contended(7));
    expect(await count(two)).toBe(1);
  });

  test("and that is full takes no more, and is right as it is for what it has", async () => {
    const place = await registry.newImage();
    const [mine, other] = [predicateTypes.base, predicateTypes.cyclonedx].map((type) =>
      statementAbout(place.repository, [place.image.digest], type),
    );
    if (mine === undefined || other === undefined) throw new TypeError("two statements");
    await attach(place, mine);
    const found = await registry.client.fetchManifest(tagOf(place));
    const layer = found.kind === "image" ? found.manifest.layers[0] : undefined;
    if (layer === undefined) return expect.unreachable();
    const full = encodeTagManifest(Array.from({ length: maxTagLayers }, () => layer));
    await registry.pushBlob(place.repository, full.config);
    await registry.client.pushManifest(place.repository, full.manifest, mediaTypes.ociManifest, tagOf(place).tag);
    await attach(place, mine);
    await expect(attach(place, other)).rejects.toMatchObject({ code: "legacy-tag-taken" });
    expect(await count(place)).toBe(maxTagLayers);
  });
});
