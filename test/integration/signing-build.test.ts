import { parsePolicy } from "@goldenpath/core/policy/parse";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { pushTinyImage, pushTinyIndex, tinyLayer } from "@goldenpath/testing/tiny-image";
import { describe, expect, test } from "vitest";
import {
  attest,
  type Built,
  base,
  client,
  collect,
  newImage,
  nextNumber,
  policyBytes,
  rulesOf,
  server,
  useSigningPath,
  verify,
  workflowRun,
} from "../support/signing-path.ts";

useSigningPath("syft");

describe("a build's attestation", () => {
  test("is provenance and an SBOM, and opens the gate", async () => {
    const image = await newImage();
    const { outcome } = await attest(image, { key: "build.pem", "build-environment": "container" });
    expect(outcome.result).toMatchObject({ verdict: "pass", tools: [{ name: "syft" }] });
    const { statements } = await collect(image);
    const [provenance] = statements.filter((each) => each.statement.predicateType === predicateTypes.provenance);
    const [sbom] = statements.filter((each) => each.statement.predicateType === predicateTypes.cyclonedx);
    expect(provenance?.statement.predicate).toMatchObject({
      buildDefinition: {
        externalParameters: { source: { repository: "https://github.com/acme/shop", ref: "refs/heads/main" } },
        internalParameters: { buildEnvironment: "container", builders: ["node"] },
      },
      runDetails: { builder: { id: workflowRun.builderId } },
    });
    expect(JSON.stringify(sbom?.statement.predicate)).toContain("lodash");
    expect((await verify(image, "built")).outcome).toMatchObject({ verdict: "pass" });
  });

  test("says host unless told otherwise, which this policy refuses", async () => {
    const image = await newImage();
    await attest(image, { key: "build.pem" });
    expect(rulesOf(await verify(image, "built"))).toEqual(["gate.build-environment"]);
  });

  test("has the runners of its platforms as said, of those that it has, and takes no other text for them", async () => {
    const image = await newImage();
    const given = { key: "build.pem", "build-environment": "container" };
    const refused = await attest(image, { ...given, "build-runners": "linux/amd64=ubuntu-latest" });
    expect(refused.outcome.result.error).toMatchObject({ code: "input-invalid" });
    const runners = { "linux/amd64": ["self-hosted", "x64"], "linux/s390x": "z" };
    await attest(image, { ...given, "build-runners": JSON.stringify(runners) });
    const { statements } = await collect(image);
    const provenance = statements.find((each) => each.statement.predicateType === predicateTypes.provenance);
    expect(provenance?.statement.predicate).toMatchObject({
      buildDefinition: { internalParameters: { buildSays: { runners: { "linux/amd64": ["self-hosted", "x64"] } } } },
    });
    expect(JSON.stringify(provenance?.statement.predicate)).not.toContain("s390x");
    expect((await verify(image, "built")).outcome).toMatchObject({ verdict: "pass" });
  });

  test("of another source is refused", async () => {
    const image = await newImage();
    await attest(
      image,
      { key: "build.pem", "build-environment": "container" },
      { ...workflowRun, sourceRepository: "https://github.com/evil/shop" },
    );
    expect(rulesOf(await verify(image, "built"))).toEqual(["gate.source"]);
  });

  test("on a foreign base names no builder, and is refused", async () => {
    const foreign = await tinyLayer({ "etc/os-release": "ID=foreign\n" });
    const image = await newImage(foreign);
    expect((await attest(image, { key: "build.pem", "build-environment": "container" })).outcome.verdict).toBe("pass");
    expect(rulesOf(await verify(image, "built"))).toEqual(["gate.builder"]);
  });

  test("of an index has an SBOM for each child, on the index and on that child", async () => {
    const repository = { registry: server.host, name: `quarantine/shop${nextNumber()}` };
    const packageOf = (version: string) =>
      tinyLayer({ "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version }) });
    // The base is approved for amd64 alone, so both children are of that platform, as variants of one image.
    const first = await pushTinyImage(client, repository, [base, await packageOf("4.17.20")]);
    const second = await pushTinyImage(client, repository, [base, await packageOf("4.17.21")]);
    const digest = await pushTinyIndex(client, repository, [first, second]);
    const index: Built = {
      name: repository.name,
      reference: `${server.host}/${repository.name}@${digest}`,
      digest,
      children: [first, second],
    };
    await attest(index, { key: "build.pem", "build-environment": "container" });
    const sbomsOn = async (subject: Digest): Promise<number> => {
      const { statements } = await collectEvidence(
        client,
        repository,
        subject,
        parsePolicy(policyBytes, "policy.yaml").signers,
        { now: new Date() },
      );
      return statements.filter((each) => each.statement.predicateType === predicateTypes.cyclonedx).length;
    };
    expect(await Promise.all([digest, first.digest, second.digest].map(sbomsOn))).toEqual([2, 1, 1]);
    expect((await verify(index, "built")).outcome.verdict).toBe("pass");
  });
});
