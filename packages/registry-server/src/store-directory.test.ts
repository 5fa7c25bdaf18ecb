import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startRegistry } from "./server.ts";
import { digestOf, putBlob, putImage } from "./testing.ts";

describe("a registry in a folder", () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "registry-"));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const files = async (under: string): Promise<string[]> =>
    (await readdir(join(directory, under), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
      .sort();

  it.each([
    ["cut off", '{"blobs":{'],
    ["without tags", '{"blobs":{},"manifests":{}}'],
    ["empty", "null"],
    ["with a blob that is none", '{"blobs":{"../x":1},"manifests":{},"tags":{}}'],
    ["with a manifest that is none", `{"blobs":{},"manifests":{"${digestOf("")}":{}},"tags":{}}`],
    ["with a tag that is none", `{"blobs":{},"manifests":{},"tags":{"../x":"${digestOf("")}"}}`],
    ["with a tag to nowhere", '{"blobs":{},"manifests":{},"tags":{"v1":1}}'],
  ])("doesn't start on a repository's file %s, and leaves it alone", async (_what, text) => {
    const path = join(directory, "repositories", "shop", "_repository.json");
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    await expect(startRegistry({ directory })).rejects.toThrow("_repository.json is malformed");
    expect(await readFile(path, "utf8")).toBe(text);
  });

  it("doesn't start on a file where no repository can be", async () => {
    await mkdir(join(directory, "repositories", "UPPER"), { recursive: true });
    await writeFile(
      join(directory, "repositories", "UPPER", "_repository.json"),
      '{"blobs":{},"manifests":{},"tags":{}}',
    );
    await expect(startRegistry({ directory })).rejects.toThrow("is not under a repository's name");
  });

  it("has everything again after a restart", async () => {
    const first = await startRegistry({ directory });
    const subject = await putImage(first.url, "a/b", "v1");
    const referrer = await putImage(first.url, "a/b", undefined, {
      subject: { ...subject, manifest: undefined },
      annotations: { a: "b" },
    });
    await putImage(first.url, "a", "v2");
    const before = await first.snapshot();
    await first.close();

    const second = await startRegistry({ directory });
    expect(await second.snapshot()).toEqual(before);
    const manifest = await fetch(`${second.url}/v2/a/b/manifests/v1`);
    expect(await manifest.text()).toBe(subject.manifest);
    const list = (await (await fetch(`${second.url}/v2/a/b/referrers/${subject.digest}`)).json()) as {
      manifests: unknown[];
    };
    expect(list.manifests).toMatchObject([{ digest: referrer.digest, annotations: { a: "b" } }]);
    await second.close();
  });

  it("forgets at the next start what was only half written", async () => {
    const first = await startRegistry({ directory });
    const begun = await fetch(`${first.url}/v2/shop/blobs/uploads/`, { method: "POST" });
    await fetch(new URL(begun.headers.get("Location") ?? "", first.url), { method: "PATCH", body: "half" });
    expect(await files("partial")).toHaveLength(1);
    await first.close();
    const second = await startRegistry({ directory });
    expect(await files("partial")).toEqual([]);
    expect(await second.snapshot()).toEqual({});
    await second.close();
  });

  it("keeps one copy of what several repositories hold, until none does", async () => {
    const server = await startRegistry({ directory });
    const { digest } = await putBlob(server.url, "a", "content");
    await putBlob(server.url, "b", "content");
    const hex = digest.slice("sha256:".length);
    expect(await files("contents")).toEqual([join("contents", "sha256", hex.slice(0, 2), hex)]);
    expect(await files("partial")).toEqual([]);
    for (const name of ["a", "b"]) {
      expect(await files("contents")).toHaveLength(1);
      await fetch(`${server.url}/v2/${name}/blobs/${digest}`, { method: "DELETE" });
    }
    expect(await files("contents")).toEqual([]);
    await server.close();
  });

  it("says 404 when somebody took the content away", async () => {
    const server = await startRegistry({ directory });
    const { digest } = await putBlob(server.url, "a", "content");
    await rm(join(directory, "contents"), { recursive: true });
    expect((await fetch(`${server.url}/v2/a/blobs/${digest}`)).status).toBe(404);
    await server.close();
  });
});
