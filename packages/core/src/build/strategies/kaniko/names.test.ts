import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import { fakeDigest } from "@goldenpath/testing/policy";
import { expect, it } from "vitest";
import type { ResolvedImage } from "../dockerfile/fetch.ts";
import { renderNames } from "./run.ts";
import { registryPort, registryScript } from "./scripts.ts";

const [index, child] = [fakeDigest("a"), fakeDigest("b")];
const mediaType = "application/vnd.oci.image.manifest.v1+json";
const image = (name: string, tag?: string): ResolvedImage => {
  const repository = { registry: "r.test", name: "bases/golden" };
  return {
    ...{ name, line: 1, use: "base", resolved: { ...repository, digest: index } },
    reference: { ...repository, ...(tag === undefined ? { digest: index } : { tag }) },
    child: { digest: child, descriptor: { mediaType, digest: child, size: 1 } } as ChildFacts,
  };
};

it("each name of a file leads to the image that was judged, whatever the tag is now", () => {
  const names = renderNames([image("r.test/bases/golden:1"), image("r.test/bases/golden"), image("x:2", "2")]);
  const own = `${child} ${mediaType}`;
  expect(names.split("\n").sort()).toEqual(
    [
      "",
      ...[child, "1", "2", "latest"].map((reference) => `5000 bases/golden:${reference} ${own}`),
      `5000 bases/golden:${index} ${index} application/vnd.oci.image.index.v1+json`,
    ].sort(),
  );
});

const imageOf = (registry: string, content: string): ResolvedImage => {
  const digest = digestOf(content);
  const repository = { registry, name: "library/tools" };
  return {
    ...{ name: `${registry}/library/tools:1`, line: 1, use: "build", resolved: { ...repository, digest } },
    reference: { ...repository, tag: "1" },
    child: { digest, descriptor: { mediaType, digest, size: content.length } } as ChildFacts,
  };
};

async function findPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

it("one name in two registries leads to each one's own image, and to none of a registry that has none", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kaniko-names-"));
  try {
    const [ours, theirs] = [imageOf("r.test", "ours"), imageOf("mirror.test", "theirs")];
    await mkdir(join(folder, "blobs", "sha256"), { recursive: true });
    for (const content of ["ours", "theirs"])
      await writeFile(join(folder, "blobs", "sha256", digestHex(digestOf(content))), content);
    const ports = [await findPort(), await findPort()];
    const names = ports.reduce(
      (text, port, at) => text.replaceAll(new RegExp(`^${registryPort + at} `, "gm"), `${port} `),
      renderNames([ours, theirs]),
    );
    await writeFile(join(folder, "names"), names);
    await writeFile(join(folder, "registry.mjs"), registryScript);
    const ask = `
      const said = [];
      for (const port of process.argv.slice(1)) for (const path of ["library/tools/manifests/1", "library/tools/blobs/${ours.child.digest}", "library/other/manifests/1"]) {
        const answer = await fetch(\`http://127.0.0.1:\${port}/v2/\${path}\`);
        said.push(answer.ok ? await answer.text() : answer.status);
      }
      console.log(JSON.stringify(said));`;
    const args = [join(folder, "registry.mjs"), folder, join(folder, "names"), process.execPath];
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...args,
      ...["--input-type=module", "-e", ask, "--", ...ports.map(String)],
    ]);
    expect(JSON.parse(stdout)).toEqual(["ours", "ours", 404, "theirs", "ours", 404]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("a file without an image starts the builder all the same", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kaniko-names-"));
  try {
    await writeFile(join(folder, "names"), renderNames([]));
    await writeFile(join(folder, "registry.mjs"), registryScript);
    const args = [join(folder, "registry.mjs"), folder, join(folder, "names"), process.execPath, "-p", "1 + 1"];
    expect((await promisify(execFile)(process.execPath, args)).stdout).toBe("2\n");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
