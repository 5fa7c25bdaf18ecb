import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatStageResult } from "@goldenpath/core/result";
import { attestationTag, nameCosignTag, signatureTag } from "@goldenpath/core/signing/cosign-tags";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { makeKey } from "@goldenpath/testing/signers";
import { pushTinyImage, pushTinyIndex, tinyLayer } from "@goldenpath/testing/tiny-image";
import { describe, expect, test } from "vitest";
import {
  attest,
  type Built,
  base,
  client,
  collect,
  missingOf,
  newImage,
  nextNumber,
  resultOf,
  root,
  rulesOf,
  server,
  sign,
  signStage,
  useSigningPath,
  verify,
  writeResult,
} from "../support/signing-path.ts";

useSigningPath();

describe("sign ends in an error, and attaches nothing", () => {
  const cases: [name: string, code: string, raw: (image: Built) => Promise<Record<string, string>>][] = [
    ["without results", "input-invalid", async () => ({})],
    ["with none but a comment", "input-invalid", async () => ({ results: "# none" })],
    [
      "with a signer that it does not know",
      "input-invalid",
      async (image) => ({ signer: "notary", results: await writeResult(resultOf("scan", image, "pass")) }),
    ],
    [
      "with a key that is not there",
      "key-unreadable",
      async (image) => ({ key: "none.pem", results: await writeResult(resultOf("scan", image, "pass")) }),
    ],
    [
      "in cosign's older form, as a workflow",
      "input-invalid",
      async (image) => ({
        ...{ signer: "keyless", legacy: "true" },
        results: await writeResult(resultOf("scan", image, "pass")),
      }),
    ],
    ["for a result that is not there", "result-missing", async () => ({ results: "none.json" })],
    [
      "for a result cut in half",
      "result-invalid",
      async (image) => {
        const file = join(root, "half.json");
        await writeFile(file, formatStageResult(resultOf("scan", image, "pass")).slice(0, 300));
        return { results: file };
      },
    ],
    [
      "for an error",
      "result-not-signable",
      async (image) => ({
        results: await writeResult(
          resultOf("scan", image, "pass", { verdict: "error", error: { code: "x", message: "y" } }),
        ),
      }),
    ],
    [
      "for another image",
      "result-not-signable",
      async () => ({ results: await writeResult(resultOf("scan", await newImage(), "pass")) }),
    ],
    [
      "for another policy",
      "result-not-signable",
      async (image) => ({
        results: await writeResult(
          resultOf("scan", image, "pass", { policy: { uri: "policy.yaml", digest: digestOf("x"), serial: 7 } }),
        ),
      }),
    ],
    [
      "that was made without a policy",
      "result-not-signable",
      async (image) => ({ results: await writeResult(resultOf("scan", image, "pass", { policy: undefined })) }),
    ],
    [
      "for a good result and a bad one",
      "result-not-signable",
      async (image) => {
        const files = [
          await writeResult(resultOf("base", image, "pass")),
          await writeResult(resultOf("scan", await newImage(), "pass")),
        ];
        return { results: files.join("\n") };
      },
    ],
  ];
  test.each(cases)("%s", async (_name, code, raw) => {
    const image = await newImage();
    const given = { key: "scan.pem", ...(await raw(image)) };
    const before = await server.snapshot();
    const { outcome } = await sign(image, given);
    expect(outcome.result).toMatchObject({ verdict: "error", stage: "sign", error: { code } });
    expect(await server.snapshot()).toEqual(before);
  });

  test("but with legacy: true, cosign's older form is there besides, and without it is not", async () => {
    const image = await newImage();
    const repository = { registry: server.host, name: image.name };
    const results = await writeResult(resultOf("scan", image, "pass"));
    const countTagged = async () => {
      const tags = [attestationTag, signatureTag].map((kind) => nameCosignTag(image.digest, kind));
      const found = await Promise.all(tags.map((tag) => client.fetchManifest({ ...repository, tag })));
      return found.map((each) => (each.kind === "image" ? each.manifest.layers.length : 0));
    };
    await sign(image, { results, key: "scan.pem" });
    await expect(countTagged()).rejects.toMatchObject({ code: "image-not-found" });
    const { outcome } = await sign(image, { results, key: "scan.pem", legacy: "true" });
    expect(outcome.result.verdict).toBe("pass");
    // A finding and a verdict; and one signature.
    expect(await countTagged()).toEqual([2, 1]);
    expect((await collect(image)).statements).toHaveLength(2);
  });

  test("for an image that is not there, and for a registry that is down", async () => {
    const image = await newImage();
    const gone = { ...image, reference: `${server.host}/quarantine/none@${image.digest}` };
    const results = await writeResult(resultOf("scan", image, "pass"));
    expect((await sign(gone, { results, key: "scan.pem" })).outcome.result.error?.code).toBe("image-not-found");
    const down = { ...image, reference: `localhost:1/quarantine/none@${image.digest}` };
    expect((await sign(down, { results, key: "scan.pem" })).outcome.result.error?.code).toBe("registry-unreachable");
  });

  test("attest, with a build environment that it does not know", async () => {
    const image = await newImage();
    const { outcome } = await attest(image, { key: "build.pem", "build-environment": "laptop" });
    expect(outcome.result).toMatchObject({ verdict: "error", stage: "attest", error: { code: "input-invalid" } });
    expect(await collect(image)).toEqual({ statements: [], lapsed: [], rejected: [] });
  });

  test("for a build whose source is not known", async () => {
    const image = await newImage();
    const { outcome } = await attest(image, { key: "build.pem" }, { builderId: "local", sourceRepository: undefined });
    expect(outcome.result).toMatchObject({ verdict: "error", error: { code: "source-unknown" } });
  });

  test("for a build while a base of the policy cannot be looked at", async () => {
    const image = await newImage();
    server.faults = [{ path: "/bases/golden/", action: { kind: "status", status: 403 } }];
    const { outcome } = await attest(image, { key: "build.pem" });
    expect(outcome.result.verdict).toBe("error");
    expect(await collect(image)).toEqual({ statements: [], lapsed: [], rejected: [] });
  });
});

describe("verify refuses", () => {
  test("an image without evidence, and says what is missing", async () => {
    const image = await newImage();
    const execution = await verify(image, "production");
    expect(execution.outcome.verdict).toBe("fail");
    expect(rulesOf(execution)).toEqual(["gate.missing", "gate.missing"]);
    expect(missingOf(execution)).toEqual(
      ["base", "scan"].map((stage) => ({
        stage,
        digest: image.digest,
        rules: ["gate.missing"],
        signers: [stage],
        reason: `the verdict of ${stage} is not there`,
      })),
    );
    expect(execution.outcome.summary).toContain("gate.missing");
    expect(execution.outcome.result.subject?.children).toMatchObject([{ verdict: "fail" }]);
  });

  test.each<[string, string[], (image: Built) => Promise<unknown>]>([
    ["a stage that did not sign", ["gate.missing"], (image) => signStage("base", image)],
    [
      "a failure",
      ["gate.failed"],
      async (image) => [await signStage("base", image), await signStage("scan", image, "fail")],
    ],
    [
      "a failure after a pass",
      ["gate.failed"],
      async (image) => [
        await signStage("base", image),
        await signStage("scan", image),
        await sign(image, {
          key: "scan.pem",
          results: await writeResult(resultOf("scan", image, "fail", { finishedAt: new Date().toISOString() })),
        }),
      ],
    ],
    [
      "another stage's key",
      ["gate.signer"],
      async (image) => [await signStage("base", image), await signStage("scan", image, "pass", "base.pem")],
    ],
    [
      "a key of nobody",
      ["gate.signer"],
      async (image) => {
        await writeFile(join(root, "stranger.pem"), (await makeKey()).privateKeyPem, { mode: 0o600 });
        return [await signStage("base", image), await signStage("scan", image, "pass", "stranger.pem")];
      },
    ],
    [
      "a verdict that is too old",
      ["gate.stale"],
      async (image) => [
        await signStage("base", image),
        await sign(image, {
          key: "scan.pem",
          results: await writeResult(
            resultOf("scan", image, "pass", { finishedAt: new Date(Date.now() - 90_000_000).toISOString() }),
          ),
        }),
      ],
    ],
  ])("%s", async (_name, rules, prepare) => {
    const image = await newImage();
    await prepare(image);
    const execution = await verify(image, "production");
    expect(execution.outcome.verdict).toBe("fail");
    expect(rulesOf(execution)).toEqual(rules);
    for (const violation of execution.outcome.result.violations) expect(violation.wayOut).toContain("scan");
  });

  test("another repository than images come from", async () => {
    const image = await pushTinyImage(client, { registry: server.host, name: "elsewhere/shop" }, [base]);
    const built: Built = {
      name: "elsewhere/shop",
      reference: `${server.host}/elsewhere/shop@${image.digest}`,
      digest: image.digest,
      children: [image],
    };
    await signStage("base", built);
    await signStage("scan", built);
    expect(rulesOf(await verify(built, "production"))).toEqual(["gate.origin"]);
  });

  test("an environment that the policy does not have, as an error", async () => {
    const image = await newImage();
    for (const name of ["staging", "constructor"]) {
      expect((await verify(image, name)).outcome.result).toMatchObject({
        verdict: "error",
        error: { code: "environment-unknown" },
      });
    }
  });

  test("to answer while the registry does not tell the referrers", async () => {
    const image = await newImage();
    await signStage("base", image);
    await signStage("scan", image);
    // With a challenge: a bare refusal, where the same login reads the image, is how some registries say that they have
    // no such API.
    const headers = { "WWW-Authenticate": 'Basic realm="quarantine"' };
    server.faults = [{ method: "GET", path: "/referrers/", action: { kind: "status", status: 401, headers } }];
    const { outcome } = await verify(image, "production");
    expect(outcome.result).toMatchObject({ verdict: "error", error: { code: "registry-unauthorized" } });
  });

  test("an index whose second child was not judged with it", async () => {
    const repository = { registry: server.host, name: `quarantine/shop${nextNumber()}` };
    const amd64 = await pushTinyImage(client, repository, [base, await tinyLayer({ a: "amd64" })]);
    const arm64 = await pushTinyImage(client, repository, [base, await tinyLayer({ a: "arm64" })], {
      architecture: "arm64",
    });
    const digest = await pushTinyIndex(client, repository, [amd64, arm64]);
    const index: Built = {
      name: repository.name,
      reference: `${server.host}/${repository.name}@${digest}`,
      digest,
      children: [amd64],
    };
    expect((await signStage("base", index)).outcome.result.error?.code).toBe("result-not-signable");
    const both = { ...index, children: [amd64, arm64] };
    for (const stage of ["base", "scan"] as const) expect((await signStage(stage, both)).outcome.verdict).toBe("pass");
    expect((await verify(both, "production")).outcome.verdict).toBe("pass");
    for (const child of [amd64, arm64]) {
      expect(
        (await verify({ ...both, reference: `${server.host}/${repository.name}@${child.digest}` }, "production"))
          .outcome.verdict,
      ).toBe("pass");
    }
  });
});

describe("sign and verify", () => {
  test("two results at once: each as a finding and a verdict, listed in the output", async () => {
    const image = await newImage();
    const results = [
      await writeResult(resultOf("base", image, "pass")),
      await writeResult(resultOf("scan", image, "pass")),
    ].join("\n");
    const { outcome } = await sign(image, { results, key: "base.pem" });
    expect(outcome).toMatchObject({ verdict: "pass", result: { stage: "sign" } });
    const attested = JSON.parse(outcome.outputs["attestations"] ?? "");
    const vsa = predicateTypes.verificationSummary;
    expect(attested.map((each: { predicateType: string }) => each.predicateType)).toEqual([
      predicateTypes.base,
      vsa,
      predicateTypes.vulnerabilities,
      vsa,
    ]);
    const { statements } = await collect(image);
    expect(new Set(statements.map((each) => each.referrer.digest))).toEqual(
      new Set(attested.map((each: { referrer: string }) => each.referrer)),
    );
    expect(attested).toMatchObject(
      Array.from({ length: 4 }, () => ({ subject: image.digest, bundle: expect.stringMatching(/^sha256:/) })),
    );
  });

  test("an image with all of its evidence passes, also when a stage signs its result twice", async () => {
    const image = await newImage();
    const results = await writeResult(resultOf("scan", image, "pass"));
    await signStage("base", image);
    await sign(image, { results, key: "scan.pem" });
    const before = await server.snapshot();
    await sign(image, { results, key: "scan.pem" });
    expect(await server.snapshot()).toEqual(before);
    const { outcome } = await verify(image, "production");
    expect(outcome).toMatchObject({
      verdict: "pass",
      result: { stage: "verify", violations: [] },
      outputs: { missing: "[]" },
    });
    expect(outcome.result.notes.filter((note) => !note.startsWith("the policy: "))).toHaveLength(4);
  });

  test("a newer pass, after what failed was put right by a new policy or new data", async () => {
    const image = await newImage();
    await signStage("base", image);
    const before = { finishedAt: new Date(Date.now() - 60_000).toISOString() };
    await sign(image, { key: "scan.pem", results: await writeResult(resultOf("scan", image, "fail", before)) });
    await signStage("scan", image);
    expect((await verify(image, "production")).outcome.verdict).toBe("pass");
  });
});
