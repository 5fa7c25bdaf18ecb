import type { verify } from "node:crypto";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { statementAbout } from "@goldenpath/testing/evidence-registry";
import { makeKey } from "@goldenpath/testing/signers";
import { expect, test, vi } from "vitest";
import { signStatement } from "./key/sign.ts";
import { key } from "./key.ts";

/** How many verifications are at work, and the most at once. */
const work = vi.hoisted(() => ({ now: 0, most: 0, all: 0 }));
vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  const counted = (...[algorithm, data, by, signature, then]: Parameters<typeof verify>): void => {
    work.all += 1;
    work.now += 1;
    work.most = Math.max(work.most, work.now);
    crypto.verify(algorithm, data, by, signature, (...told) => {
      work.now -= 1;
      then(...told);
    });
  };
  return { ...crypto, verify: counted };
});

test("a bundle is tried by one key after another: each takes copies of it, and whoever may push can have it of 16 MiB", async () => {
  const keys = await Promise.all(Array.from({ length: 6 }, () => makeKey()));
  const { trust, materialOf } = key;
  const signers = keys.map(({ publicKeyPem: publicKey }, at) => ({
    ...{ name: `signer-${at}`, fields: { publicKey } },
    material: materialOf({ publicKey }, "a key"),
  }));
  const repository = { registry: "registry.test", name: "shop" };
  const statement = statementAbout(repository, [digestOf("image")]);
  const look = async (by: (typeof keys)[number]) => {
    const bytes = await signStatement(statement, by.signer);
    const bundle = { mediaType: mediaTypes.sigstoreBundle, digest: digestOf(bytes), size: bytes.byteLength };
    const config = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
    const manifest = { artifactType: mediaTypes.sigstoreBundle, config, layers: [bundle] };
    const verifier = trust(signers as unknown as Parameters<typeof trust>[0]);
    return verifier.verify({ manifest } as unknown as Parameters<typeof verifier.verify>[0], async () => bytes);
  };
  expect(await look(await makeKey())).toMatchObject([{ signers: [] }]);
  expect(work).toEqual({ now: 0, most: 1, all: 6 });
  expect(await look(keys[3] ?? (await makeKey()))).toMatchObject([{ signers: ["signer-3"] }]);
  expect(work).toEqual({ now: 0, most: 1, all: 7 });
});
