import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readSource } from "../../source.ts";
import { findDockerfile } from "./find-file.ts";

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "goldenpath-find-file-")));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function find(names: readonly string[], given?: string) {
  for (const name of names) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), "FROM scratch\n");
  }
  return findDockerfile(await readSource(".", root), given, { workingDirectory: root });
}

test.each([
  ["several, of which none is the usual one", ["Dockerfile.dev", "web.Dockerfile"], "Dockerfile.dev, web.Dockerfile"],
  ["one below it", ["app.txt", "docker/Dockerfile"], "docker/Dockerfile"],
])("no Dockerfile is guessed: %s", async (_what, names, listed) => {
  await expect(find(names)).rejects.toMatchObject({
    code: "dockerfile-invalid",
    wayOut: `Name it by the input 'file', from the context's folder. There is: ${listed}.`,
  });
});

test.each([
  ["leads out", "/etc/hosts", "it leads out of the application, to /etc/hosts"],
  ["leads nowhere", "not-there", "it is not there"],
])("a link of the usual name that %s is refused, whatever else there is", async (_what, target, why) => {
  symlinkSync(target, join(root, "Dockerfile"));
  await expect(find(["Dockerfile.prod"])).rejects.toMatchObject({
    code: "dockerfile-invalid",
    message: `Dockerfile 'Dockerfile' can't be used: ${why}`,
  });
});

test("where there is none at all, nothing is listed", async () => {
  await expect(find(["app.txt", "Dockerfile.dockerignore"])).rejects.toMatchObject({
    message: expect.stringContaining("there is no Dockerfile in"),
    wayOut: expect.stringMatching(/folder\.$/),
  });
});

test.each([
  [["Dockerfile", "Dockerfile.dev"], undefined, "Dockerfile"],
  [["Containerfile", "web.Dockerfile"], undefined, "Containerfile"],
  [["Dockerfile.prod", "Dockerfile.prod.dockerignore"], undefined, "Dockerfile.prod"],
  [["Dockerfile", "docker/Dockerfile"], "docker/Dockerfile", "docker/Dockerfile"],
])("of %j, with input 'file' %s, %s is taken", async (names, given, file) => {
  expect((await find(names, given)).file).toBe(file);
});
