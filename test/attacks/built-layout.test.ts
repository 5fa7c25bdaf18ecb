import { execFileSync } from "node:child_process";
import { appendFileSync, linkSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { pushBuiltLayout } from "@goldenpath/core/layouts/push-built";
import { writeLayout } from "@goldenpath/core/layouts/write-layout";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import type { Execution } from "@goldenpath/core/verbs/execute";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import { type Digest, digestOf, parseDigest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { pushTinyImage, tinyLayer } from "@goldenpath/testing/tiny-image";
import { beforeAll, describe, expect, test } from "vitest";
import { base, client, execute, nextNumber, root, server, useSigningPath } from "../support/signing-path.ts";

// What the building job left is a stranger's, and so is the artifact that it came in: the digest came by the job's output.
useSigningPath("syft");

interface Left {
  folder: string;
  digest: Digest;
  /** Paths of its blobs. */
  layer: string;
  manifest: string;
}

/** An image as a building job leaves it, which no registry has. */
async function leave(architecture = "amd64"): Promise<Left> {
  const elsewhere: Repository = { registry: server.host, name: `elsewhere/shop${nextNumber()}` };
  const layer = await tinyLayer({ "workspace/app": `the application ${nextNumber()}` });
  const { digest } = await pushTinyImage(client, elsewhere, [base, layer], { architecture });
  const folder = join(root, `left-${nextNumber()}`);
  const options = { tags: ["1"], signal: new AbortController().signal };
  await writeLayout(client, { ...elsewhere, digest }, folder, options);
  const fetched = await client.fetchManifest({ ...elsewhere, digest });
  if (fetched.kind !== "image") throw new TypeError("it is an image");
  const blob = (each: Digest): string => join(folder, "blobs", each.replace(":", "/"));
  const last = fetched.manifest.layers.at(-1)?.digest ?? digest;
  return { folder, digest, layer: blob(last), manifest: blob(digest) };
}

const key = { key: "build.pem", "build-environment": "container" };
const newName = () => `quarantine/taken${nextNumber()}`;
const take = (name: string, digest: string, layout: string, more: Record<string, string> = {}): Promise<Execution> =>
  execute(attestVerb as Verb, { ...key, image: `${server.host}/${name}@${digest}`, layout, tags: "1", ...more });
function push(name: string, expected: Digest, folder: string): Promise<Digest> {
  const repository: Repository = { registry: server.host, name };
  const context = { ports: silentPorts(), signal: new AbortController().signal, temporaryDirectory: root };
  return pushBuiltLayout(folder, { repository, tags: [{ ...repository, tag: "1" }], client, context, expected });
}
const repositoryOf = async (name: string) => (await server.snapshot())[name];

/** That nothing there has a tag, and nothing is signed. */
async function expectRefused(name: string, { outcome, error }: Execution, code: string, message: string) {
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
  expect(outcome.verdict).not.toBe("pass");
  const { tags = {}, manifests = [] } = (await repositoryOf(name)) ?? {};
  expect({ tags, manifests }).toEqual({ tags: {}, manifests: [] });
}

describe("a layout is not taken for the image that was built", () => {
  let other: Left;
  beforeAll(async () => {
    other = await leave();
  });

  const change = (path: string, how: (bytes: Buffer) => void): void => {
    const bytes = readFileSync(path);
    how(bytes);
    writeFileSync(path, bytes);
  };
  test.each<[string, (left: Left) => void | Promise<void>, string, string]>([
    [
      "where it is another image, whole",
      async ({ folder }) => {
        rmSync(folder, { recursive: true });
        await cp(other.folder, folder, { recursive: true });
      },
      "built-image-invalid",
      "the one that it left is",
    ],
    [
      "where another image is in it as well",
      ({ folder }) => {
        const index = (from: string) => JSON.parse(readFileSync(join(from, "index.json"), "utf8")) as { manifests: [] };
        const both = [...index(folder).manifests, ...index(other.folder).manifests];
        writeFileSync(join(folder, "index.json"), JSON.stringify({ ...index(folder), manifests: both }));
      },
      "built-image-invalid",
      "it holds 2 images",
    ],
    [
      "where a layer has another byte",
      ({ layer }) => change(layer, (bytes) => bytes.writeUInt8(bytes.readUInt8(20) ^ 1, 20)),
      "digest-mismatch",
      "",
    ],
    ["where a layer is cut off", ({ layer }) => truncateSync(layer, 10), "built-image-invalid", "has 10 bytes, not"],
    ["where a layer goes on", ({ layer }) => appendFileSync(layer, "more"), "built-image-invalid", "bytes, not"],
    ["where a layer is missing", ({ layer }) => rmSync(layer), "built-image-invalid", "is not in it"],
    [
      "where its manifest has another byte",
      ({ manifest }) => change(manifest, (bytes) => bytes.write("3", bytes.indexOf("2"))),
      "built-image-invalid",
      "is not what its digest says",
    ],
    [
      "where its manifest is larger than one may be",
      ({ manifest }) => truncateSync(manifest, 5 * 1024 ** 2),
      "built-image-invalid",
      "more than 4194304",
    ],
    [
      "where it is as large as a disk",
      ({ manifest }) => truncateSync(manifest, 64 * 1024 ** 3),
      "built-image-invalid",
      `more than ${32 * 1024 ** 3}`,
    ],
    [
      "where a layer is a link to a file of the machine",
      ({ layer }) => {
        rmSync(layer);
        symlinkSync("/etc/passwd", layer);
      },
      "built-image-invalid",
      "is not an ordinary file",
    ],
    [
      "where a layer is a second name of a file",
      ({ layer, folder }) => linkSync(layer, join(folder, "second")),
      "built-image-invalid",
      "is not an ordinary file",
    ],
    [
      "where a layer is a pipe, which would be waited for",
      ({ layer }) => {
        rmSync(layer);
        execFileSync("mkfifo", [layer]);
      },
      "built-image-invalid",
      "is not an ordinary file",
    ],
    [
      "where its blobs are a link to another's",
      ({ folder }) => {
        rmSync(join(folder, "blobs"), { recursive: true });
        symlinkSync(join(other.folder, "blobs"), join(folder, "blobs"));
      },
      "built-image-invalid",
      "is not an ordinary folder",
    ],
    ["where there is none", ({ folder }) => rmSync(folder, { recursive: true }), "built-image-invalid", "ENOENT"],
  ])("%s", async (_what, tamper, code, message) => {
    const left = await leave();
    const untouched = `${left.folder}-untouched`;
    await cp(left.folder, untouched, { recursive: true });
    await tamper(left);
    const name = newName();
    await expectRefused(name, await take(name, left.digest, left.folder), code, message);
    // Without the SBOM and the signatures, which take their time: those of a whole layout are below.
    expect(await push(name, left.digest, untouched)).toBe(left.digest);
    expect((await repositoryOf(name))?.tags["1"]).toBe(left.digest);
  });

  test("by the digest that another job put out", async () => {
    const left = await leave();
    const name = newName();
    const exchanged = await take(name, other.digest, left.folder);
    await expectRefused(name, exchanged, "built-image-invalid", `the build says that its image is ${other.digest}`);
    const none = await execute(attestVerb as Verb, { ...key, image: `${server.host}/${name}:1`, layout: left.folder });
    await expectRefused(name, none, "input-invalid", "HOST/NAME@DIGEST");
    expect(await take(name, left.digest, left.folder)).toMatchObject({ outcome: { verdict: "pass" } });
  });

  test("for a repository that only promote writes to", async () => {
    const left = await leave();
    const name = `vetted/taken${nextNumber()}`;
    const { outcome, error } = await take(name, left.digest, left.folder);
    expect({ outcome, error }).toMatchObject({
      outcome: { verdict: "fail", result: { violations: [{ rule: "build.quarantine" }] } },
      error: { code: "build-not-in-quarantine" },
    });
    expect(await repositoryOf(name)).toBeUndefined();
  });
});

test("what else lies in a layout is not taken along", async () => {
  const left = await leave();
  const name = newName();
  const planted = Buffer.from("planted");
  writeFileSync(join(left.folder, "blobs", digestOf(planted).replace(":", "/")), planted);
  writeFileSync(join(left.folder, "evil.sh"), "#!/bin/sh\n");
  const { outcome } = await take(name, left.digest, left.folder, { tags: "1\nlatest" });
  expect(outcome).toMatchObject({
    verdict: "pass",
    outputs: { image: `${server.host}/${name}@${left.digest}`, digest: left.digest },
  });
  const { tags = {}, blobs = [] } = (await repositoryOf(name)) ?? {};
  expect(tags).toMatchObject({ "1": left.digest, latest: left.digest });
  expect(blobs).not.toContain(digestOf(planted));
});

describe("layouts of several platforms", () => {
  const takeBoth = (name: string, layouts: Record<string, string>, digests: Record<string, string>) => {
    const rows = (map: Record<string, string>): string =>
      Object.entries(map)
        .map(([platform, value]) => `${platform}=${value}\n`)
        .join("");
    const given = { layout: rows(layouts), digests: rows(digests), platforms: "linux/amd64,linux/arm64", tags: "1" };
    return execute(attestVerb as Verb, { ...key, image: `${server.host}/${name}`, ...given });
  };

  test("are not merged where one is the other's, or was not built; each as its job left it is", async () => {
    const [amd64, arm64] = [await leave("amd64"), await leave("arm64")];
    const name = newName();
    const layouts = { "linux/amd64": amd64.folder, "linux/arm64": arm64.folder };
    const digests = { "linux/amd64": amd64.digest, "linux/arm64": arm64.digest };
    const exchanged = await takeBoth(name, { "linux/amd64": arm64.folder, "linux/arm64": amd64.folder }, digests);
    await expectRefused(name, exchanged, "built-image-invalid", "the one that it left is");
    const missing = await takeBoth(name, layouts, { ...digests, "linux/arm64": "" });
    await expectRefused(name, missing, "platform-missing", "linux/arm64");
    await expectRefused(
      name,
      await takeBoth(name, { "linux/amd64": amd64.folder }, digests),
      "input-invalid",
      "no line",
    );
    const both = { "linux/amd64": arm64.folder, "linux/arm64": amd64.folder };
    const swapped = { "linux/amd64": arm64.digest, "linux/arm64": amd64.digest };
    expect(await takeBoth(newName(), both, swapped)).toMatchObject({ error: { code: "platform-differs" } });

    const { outcome } = await takeBoth(name, layouts, digests);
    expect(outcome).toMatchObject({
      verdict: "pass",
      result: { subject: { children: [{ digest: amd64.digest }, { digest: arm64.digest }] } },
    });
    const digest = parseDigest(outcome.outputs["digest"] ?? "");
    expect((await repositoryOf(name))?.tags["1"]).toBe(digest);
    expect(await client.fetchManifest({ registry: server.host, name, digest })).toMatchObject({
      kind: "index",
      manifest: { manifests: [{ digest: amd64.digest }, { digest: arm64.digest }] },
    });
  });
});
