import { gzipSync } from "node:zlib";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import {
  attachEvidence,
  type Falsehoods,
  inRepository,
  pieces,
  pushAttestation,
  pushImage,
  pushIndex,
  type TestImage,
  transplantEvidence,
} from "@goldenpath/testing/chain";
import { writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { pushTinyIndex } from "@goldenpath/testing/tiny-image";
import { describe, expect, test } from "vitest";
import {
  counter,
  day,
  expectError,
  expectRefusal,
  fresh,
  nextImages,
  promoteInVain,
  stand,
  useRefusals,
} from "../support/refused-promotion.ts";

useRefusals();

describe("refused by the policy, and vetted stays as it was", () => {
  test.each<[string, Falsehoods, string[], string]>([
    ["no provenance", { provenance: false }, ["gate.missing"], "build of"],
    ["no SBOM", { sbom: false }, ["gate.incomplete"], "build of"],
    ["no finding of base", { base: false }, ["gate.incomplete"], "base of"],
    ["no verdict of base", { baseVerdict: false }, ["gate.missing"], "base of"],
    ["no finding of scan", { scan: false }, ["gate.incomplete"], "scan of"],
    ["no verdict of scan", { scanVerdict: false }, ["gate.missing"], "scan of"],
    ["a verdict of scan with the build's key", { scanVerdict: { by: "build" } }, ["gate.signer"], "scan of"],
    [
      "a verdict of scan with a key that no policy knows",
      { scanVerdict: { by: "stranger" } },
      ["gate.signer"],
      "scan of",
    ],
    ["a finding of scan with the build's key", { scan: { by: "build" } }, ["gate.signer"], "scan of"],
    ["provenance with the promoter's key", { provenance: { by: "promote" } }, ["gate.signer"], "build of"],
    ["a failed base", { baseVerdict: { failed: true } }, ["gate.failed"], "base of"],
    ["a verdict of scan that is too old", { scanVerdict: { age: 8 * day } }, ["gate.stale"], "scan of"],
    ["provenance that is too old", { provenance: { age: 31 * day } }, ["gate.stale"], "build of"],
    ["a verdict of scan from the future", { scanVerdict: { age: -day } }, ["gate.future"], "scan of"],
  ])("%s", async (_what, falsehoods, rules, thing) => {
    const image = await fresh(falsehoods);
    const execution = await promoteInVain(image);
    expectRefusal(execution, rules, new RegExp(`^${thing} ${image.digest}$`));
  });

  test("no evidence at all: each stage is named", async () => {
    const image = await pushImage(stand.client, `${stand.from}/shop`, `image ${counter}`);
    const { outcome } = await promoteInVain(image);
    expect(outcome.result.violations.map(({ rule, thing }) => `${rule} ${thing}`)).toEqual(
      ["build", "base", "scan"].map((stage) => `gate.missing ${stage} of ${image.digest}`),
    );
  });

  test("a newest verdict that is FAILED, after an older one that passed", async () => {
    const image = await fresh({ scanVerdict: { age: day } });
    const { client, policy, keys } = stand;
    await attachEvidence({
      client,
      image,
      policy,
      keys,
      pieces: ["scan", "scanVerdict"],
      falsehoods: { scanVerdict: { failed: true } },
    });
    expectRefusal(await promoteInVain(image), ["gate.failed"], /^scan of /);
  });

  test("a verdict that was made under an older serial of the policy", async () => {
    const { directory, keys, from, to } = stand;
    const older = await writeChainPolicy({ directory, keys, from, to, serial: 4 });
    expectRefusal(
      await promoteInVain(await fresh({ scanVerdict: { policy: older } })),
      ["gate.policy-serial"],
      /^scan of /,
    );
  });

  test("a verdict that was made under another policy of the same serial", async () => {
    const { directory, keys, from, to } = stand;
    const other = await writeChainPolicy({ directory, keys, from, to, remark: "another policy" });
    expectRefusal(
      await promoteInVain(await fresh({ baseVerdict: { policy: other } })),
      ["gate.policy-serial"],
      /^base of /,
    );
  });

  test("the evidence of another image, attached to this one", async () => {
    const whole = await fresh();
    const image = await pushImage(stand.client, `${stand.from}/shop`, `another image ${counter}`);
    expect(await transplantEvidence(stand.client, whole, image)).toHaveLength(pieces.length);
    const execution = await promoteInVain(image);
    expectRefusal(execution, ["gate.missing"]);
    expect(execution.outcome.result.violations.map(({ problem }) => problem)).toEqual(
      ["build", "base", "scan"].map(() => expect.stringContaining("its statement is about another image")),
    );
  });

  test("a repository that the environment takes no images from, however whole the evidence", async () => {
    const { client, policy, keys } = stand;
    const image = await pushImage(client, `${stand.quarantine.host}/quarantine2/shop`, `image ${counter}`);
    await attachEvidence({ client, image, policy, keys });
    expectRefusal(await promoteInVain(image), ["gate.origin"], /quarantine2\/shop$/);
  });

  test.each(["vetted2/shop", "elsewhere/shop", "vetted-shop"])(
    "the destination %s, which the environment does not have",
    async (name) => {
      const to = `${stand.vetted.host}/${name}`;
      expectRefusal(await promoteInVain(await fresh(), { to }), ["promote.destination"], new RegExp(`/${name}$`));
    },
  );

  test.each([
    ["amd64", 0, "linux/amd64"],
    ["arm64", 1, "linux/arm64"],
  ] as const)("an index of which the %s child has no verdict of scan", async (_what, at, platform) => {
    const { client, policy, keys } = stand;
    const image = await pushIndex(client, `${stand.from}/shop`, `image ${counter}`);
    const left = image.children[at]?.digest;
    const only = [image.digest, ...image.children.map((child) => child.digest)].filter((digest) => digest !== left);
    await attachEvidence({ client, image, policy, keys, falsehoods: { scanVerdict: { only } } });
    const execution = await promoteInVain(image);
    expectRefusal(execution, ["gate.missing"], new RegExp(`^scan of ${left}$`));
    expect(execution.outcome.result.violations.map((violation) => violation.platform)).toEqual([platform]);
  });

  test("an index whose children have everything, and it has not", async () => {
    const { client, policy, keys } = stand;
    const image = await pushIndex(client, `${stand.from}/shop`, `image ${counter}`);
    const only = image.children.map((child) => child.digest);
    await attachEvidence({ client, image, policy, keys, falsehoods: { scanVerdict: { only } } });
    expectRefusal(await promoteInVain(image), ["gate.missing"], new RegExp(`^scan of ${image.digest}$`));
  });

  test("what lies in vetted already, and whose evidence is nowhere", async () => {
    const { digest } = inRepository(await fresh({ scanVerdict: false }), `${stand.to}/shop`);
    expectRefusal(await promoteInVain(`${stand.from}/shop@${digest}`), ["gate.missing"]);
  });

  test("a dry run, which finds the same as the promotion would", async () => {
    expectRefusal(await promoteInVain(await fresh({ scanVerdict: false }), { "dry-run": "true", key: "" }), [
      "gate.missing",
    ]);
  });
});

describe("an error, and vetted stays as it was", () => {
  test.each(["build", "scan", "stranger"] as const)("the key of %s, who is not the promoter", async (name) => {
    const execution = await promoteInVain(await fresh(), { key: stand.keys[name].file });
    expectError(execution, "key-not-promoter");
    // Found out before anything is asked of a registry.
    expect(stand.quarantine.requests).toEqual([]);
    expect(execution.outcome.result.error?.wayOut).toContain("signers.promote.publicKey");
  });

  test("another key than the promoter's, handed to the plan's execution", async () => {
    const { prepared } = await stand.prepare(await fresh());
    const before = await stand.vettedState();
    await expect(prepared?.execute(stand.keys.scan.signer)).rejects.toThrow(
      expect.objectContaining({ code: "key-not-promoter" }),
    );
    expect(await stand.vettedState()).toEqual(before);
  });

  test("no key", async () => {
    expectError(await promoteInVain(await fresh(), { key: "" }), "input-invalid");
  });

  test("an image that does not exist", async () => {
    expectError(await promoteInVain(`${stand.from}/shop@sha256:${"0".repeat(64)}`), "image-not-found");
    expectError(await promoteInVain(`${stand.from}/nothing:here`), "image-not-found");
  });

  test("an environment that the policy does not have", async () => {
    const execution = await promoteInVain(await fresh(), { environment: "constructor" });
    expectError(execution, "environment-unknown");
    expect(execution.outcome.result.error?.message).toContain("production");
  });

  test("a destination that names a tag", async () => {
    expectError(await promoteInVain(await fresh(), { to: `${stand.to}/shop:1.0.0` }), "reference-invalid");
  });

  test("a destination where the image is already", async () => {
    const { directory, keys, from, client } = stand;
    const policy = await writeChainPolicy({ directory, keys, from, to: from });
    const image = await pushImage(client, `${from}/shop`, `image ${counter}`);
    await attachEvidence({ client, image, policy, keys });
    expectError(await promoteInVain(image, { policy: policy.file, to: `${from}/shop` }), "input-invalid");
  });

  test.each(["-x", "a b", ".x", "a/b", "x".repeat(129), "a@b", "1.0:0"])("the tag '%s'", async (tag) => {
    const execution = await promoteInVain(await fresh(), { tags: `1.0.0\n${tag}` });
    expectError(execution, "input-invalid");
    expect(execution.outcome.result.error?.message).toContain("input 'tags'");
  });

  test("a tag under which a registry without referrers API keeps the evidence of an image", async () => {
    const image = await fresh();
    for (const tag of [fallbackTag(image.digest), `${fallbackTag(image.digest)}.att`]) {
      const execution = await promoteInVain(image, { tags: `1.0.0\n${tag}` });
      expectError(execution, "input-invalid");
      expect(execution.outcome.result.error?.message).toContain(tag);
    }
  });

  test("a quarantine that stops answering for the evidence", async () => {
    const image = await fresh();
    // With a challenge: a bare refusal, where the image is read by the same login, is how some registries say that they
    // have no such API.
    const headers = { "WWW-Authenticate": 'Basic realm="quarantine"' };
    stand.quarantine.faults = [
      { method: "GET", path: "/v2/quarantine/.*/referrers/", action: { kind: "status", status: 401, headers } },
    ];
    try {
      expectError(await promoteInVain(image), "registry-unauthorized");
    } finally {
      stand.quarantine.faults = [];
    }
  });

  /** An index with one more child, of no platform as it says, and all evidence. */
  async function stageWith(child: Descriptor): Promise<TestImage> {
    const { client, policy, keys } = stand;
    const image = await pushIndex(client, `${stand.from}/shop`, `image ${nextImages()}`);
    const platform = { os: "unknown", architecture: "unknown" };
    const digest = await pushTinyIndex(client, image.repository, [...image.children, { ...child, platform }]);
    const { bytes, mediaType } = await client.fetchManifest({ ...image.repository, digest });
    const index = {
      ...image,
      digest,
      image: { mediaType, digest, size: bytes.byteLength },
      reference: `${stand.from}/shop@${digest}`,
    };
    await attachEvidence({ client, image: index, policy, keys });
    return index;
  }

  test("an index with an image that says it is of no platform, and that nobody has judged", async () => {
    const hidden = await pushImage(stand.client, `${stand.from}/shop`, "hidden");
    expectError(await promoteInVain(await stageWith(hidden.image)), "manifest-invalid", "InfrastructureError");
  });

  test.each([
    ["an archive", { payload: gzipSync(Buffer.alloc(2048)) }],
    ["a plugin of Docker's", { configType: "application/vnd.docker.plugin.v1+json" }],
  ])("an index with %s that calls itself an attestation", async (_what, disguise) => {
    const { client, from } = stand;
    const attestation = await pushAttestation(client, parseRepository(`${from}/shop`), `image ${counter}`, disguise);
    const execution = await promoteInVain(await stageWith(attestation));
    expectError(execution, "manifest-invalid", "InfrastructureError");
    expect(execution.outcome.result.error?.message).toContain(attestation.digest);
  });

  test("evidence whose bytes are not those of its digest", async () => {
    const image = await fresh();
    const [first] = await stand.client.listReferrers(image.repository, image.digest);
    stand.quarantine.faults = [
      { method: "GET", path: `/manifests/${first?.digest}`, action: { kind: "corrupt", at: 40 } },
    ];
    try {
      expect((await promoteInVain(image)).outcome.verdict).toBe("fail");
    } finally {
      stand.quarantine.faults = [];
    }
  });
});
