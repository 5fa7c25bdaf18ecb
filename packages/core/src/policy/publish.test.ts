import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { buildImage, buildIndex, pushBuilt } from "@goldenpath/registry-client/testing";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { sampleLoadedPolicy, samplePolicy, samplePolicyText } from "@goldenpath/testing/policy";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { policyMediaType } from "./artifact.ts";
import { loadPolicy } from "./load.ts";
import { checkPolicyChange, publishPolicy } from "./publish.ts";

const bytes = new TextEncoder().encode(samplePolicyText);
let server: RegistryServer;
let client: RegistryClient;
let repository: Repository;
const context: Context = {
  ports: silentPorts(),
  run: { builderId: "local" },
  workingDirectory: "/",
  temporaryDirectory: "/",
  env: {},
  signal: new AbortController().signal,
  now: () => new Date(),
};

beforeAll(async () => {
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  repository = parseRepository(`${server.host}/platform/policy`);
});
afterAll(async () => {
  await client.close();
  await server.close();
});

const uriOf = (digest: Digest): string => `oci://${formatReference({ ...repository, digest })}`;

describe("an artifact that is no policy is refused", () => {
  test("an image", async () => {
    const { digest } = await pushBuilt(client, repository, buildImage());
    await expect(loadPolicy(uriOf(digest), context)).rejects.toMatchObject({
      code: "policy-invalid",
      message: expect.stringContaining("its layer is"),
    });
  });

  test("an image of several layers", async () => {
    const { digest } = await pushBuilt(client, repository, buildImage({ layers: ["a", "b"] }));
    await expect(loadPolicy(uriOf(digest), context)).rejects.toMatchObject({
      code: "policy-invalid",
      message: expect.stringContaining("it has 2 layers"),
    });
  });

  test("an index", async () => {
    const child = await pushBuilt(client, repository, buildImage());
    const { digest } = await pushBuilt(client, repository, buildIndex([child]));
    await expect(loadPolicy(uriOf(digest), context)).rejects.toMatchObject({
      code: "policy-invalid",
      message: expect.stringContaining("it is an index"),
    });
  });

  test("nothing at all", async () => {
    await expect(loadPolicy(uriOf(digestOf("nothing")), context)).rejects.toMatchObject({ code: "image-not-found" });
  });

  test("a policy that does not parse is not even pushed", async () => {
    const broken = new TextEncoder().encode(samplePolicyText.replace("failOn", "failsOn"));
    await expect(publishPolicy(client, repository, broken)).rejects.toMatchObject({ code: "policy-invalid" });
    await expect(client.hasBlob(repository, digestOf(broken))).resolves.toBe(false);
  });
});

test("a published policy is loaded by its digest, and its digest is the file's", async () => {
  const reference = await publishPolicy(client, repository, bytes);
  const loaded = await loadPolicy(uriOf(reference.digest), context);
  expect(loaded).toEqual({ uri: uriOf(reference.digest), digest: digestOf(bytes), policy: samplePolicy() });
  await expect(publishPolicy(client, repository, bytes)).resolves.toEqual(reference);
  const root = await client.fetchManifest(reference);
  expect(root.manifest).toMatchObject({
    artifactType: policyMediaType,
    config: { mediaType: "application/vnd.oci.empty.v1+json", size: 2 },
  });
});

describe("a change of the policy", () => {
  const previous = sampleLoadedPolicy();
  const next = (change: Parameters<typeof samplePolicy>[0]) => ({
    ...sampleLoadedPolicy(change),
    digest: digestOf("next"),
  });

  test.each([
    ["without a new serial", {}, "policy-serial"],
    ["with an older serial", { serial: 6 }, "policy-serial"],
    ["of the name", { serial: 8, name: "other" }, "policy-name"],
  ])("%s is refused", (_what, change, code) => {
    expect(() => checkPolicyChange(previous, next(change))).toThrow(expect.objectContaining({ code }));
  });

  test("with a higher serial is allowed, and so is none", () => {
    expect(() => checkPolicyChange(previous, next({ serial: 8 }))).not.toThrow();
    expect(() => checkPolicyChange(previous, { ...previous, uri: "elsewhere" })).not.toThrow();
  });
});
