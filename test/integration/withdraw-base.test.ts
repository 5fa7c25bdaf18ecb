import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stages } from "@goldenpath/core/stages";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { runMain as run } from "../support/cli.ts";

// A base that counts by signed approvals has no digest in the policy: what there is to withdraw lies in its repository.

let directory: string;
let server: RegistryServer;
let client: RegistryClient;
/** A version under a tag, one that is an index, the image in that, and what no tag points at. */
let version: string;
let index: string;
let child: string;
let untagged: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-withdraw-"));
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  const bases = { registry: server.host, name: "bases/golden" };
  const push = async (text: string, tag?: string) =>
    pushTinyImage(client, bases, [await tinyLayer({ [text]: text })], tag === undefined ? {} : { tag });
  version = (await push("one", "1")).digest;
  untagged = (await push("gone")).digest;
  const image = await push("two");
  child = image.digest;
  const manifests = [{ ...image, platform: { os: "linux", architecture: "amd64" } }];
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
  index = await client.pushManifest(bases, bytes, mediaTypes.ociIndex, "2");
  await run("keys", "new", directory, "policy", "approver", ...stages);
  const shop = { registry: server.host, name: "vetted/shop" };
  await pushTinyImage(client, shop, [await tinyLayer({ two: "two" }), await tinyLayer({ app: "app" })], { tag: "1" });
  await writePolicy(bases);
});
afterAll(async () => {
  await client.close();
  await server.close();
  await rm(directory, { recursive: true, force: true });
});

async function writePolicy({ registry, name }: { registry: string; name: string }): Promise<void> {
  const template = join(import.meta.dirname, "../../examples/golden-platform/policy.yaml");
  const document = parseDocument(await readFile(template, "utf8"));
  for (const name of [...stages, "approver"])
    document.setIn(["signers", name, "publicKey"], await readFile(join(directory, `${name}.pub`), "utf8"));
  document.setIn(["bases", 0, "image"], `${registry}/${name}`);
  document.setIn(["bases", 0, "approval"], { signers: ["approver"] });
  document.deleteIn(["bases", 0, "digests"]);
  document.setIn(["environments", "production", "to"], [`${registry}/vetted`]);
  const file = join(directory, "policy.yaml");
  await writeFile(file, document.toString({ lineWidth: 0 }));
  const place = ["--to", `${registry}/vetted/goldenpath-policy`, "--key", join(directory, "policy.key"), "--first"];
  expect(await run("policy", "activate", file, ...place)).toMatchObject({ code: 0, err: "" });
}

const withdrawThing = (...thing: string[]) =>
  run(
    ...["withdraw", ...thing, "--to", `${server.host}/vetted/goldenpath-policy`, "--reason", "it leaks"],
    ...["--owner", "security", "--key", join(directory, "policy.key")],
  );
const withdraw = (digest: string, ...more: string[]) => withdrawThing("--base", digest, ...more);

test("a base that is named as an image is refused, with how it is withdrawn: what stands on it would go on counting", async () => {
  const refused = await withdrawThing(`${server.host}/bases/golden@${version}`);
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("is where base 'golden' is kept") });
  expect(refused.err).toContain(`--base ${version}`);
  const { digest } = await client.fetchManifest({ registry: server.host, name: "vetted/shop", tag: "1" });
  const image = `${server.host}/vetted/shop@${digest}`;
  expect(await withdrawThing(image)).toMatchObject({ code: 0, err: "" });
  expect(await withdrawThing(image, "--undo")).toMatchObject({ code: 0, err: "" });
  // Nobody looks where it is kept.
  const gone = `${server.host}/bases/golden@${digestOf("gone")}`;
  for (const more of [["--unseen"], ["--unseen", "--undo"]])
    expect(await withdrawThing(gone, ...more)).toMatchObject({ code: 0, err: "" });
});

test("what no tag points at, an image of an index, and a typing error are refused: nobody would be protected", async () => {
  for (const digest of [untagged, child, digestOf("a typing error")]) {
    const { code, err } = await withdraw(digest);
    expect(code).toBe(2);
    expect(err).toContain("is no base of the policy in force");
    expect(err).toContain(`what the tags of ${server.host}/bases/golden point at`);
  }
});

test("a version, be it an image or an index, is withdrawn by its digest alone", async () => {
  for (const digest of [version, index])
    expect(await withdraw(digest)).toMatchObject({ code: 0, out: expect.stringContaining("is withdrawn") });
  const again = await withdraw(index);
  expect(again.out).toMatch(/was withdrawn before[\s\S]*\n1 images of 1 repositories [\s\S]*vetted\/shop:1@/);
  expect((await withdraw(untagged, "--unseen")).out).toContain("nobody has looked whether it is there");
});
