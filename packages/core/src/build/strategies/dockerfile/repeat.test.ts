import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DockerfileText } from "./find-file.ts";
import type { Resolved } from "./prepare.ts";
import { digestGiven, digestImages } from "./repeat.ts";

let app: string;
beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), "goldenpath-repeat-"));
  await writeFile(join(app, "app.txt"), "hello");
});
afterAll(() => rm(app, { recursive: true, force: true }));

type Job = Parameters<typeof digestGiven>[0];

const options = {
  module: undefined,
  file: undefined,
  target: undefined,
  buildArgs: {},
  secrets: new Map(),
  engine: "auto",
};
const contextOf = (sourceRef: string) => ({
  signal: new AbortController().signal,
  run: { builderId: "local", sourceRepository: "https://github.com/acme/shop", sourceRef },
});
const given = (job: Partial<Omit<Job, "options">> & { options?: object } = {}, text: Partial<DockerfileText> = {}) =>
  digestGiven(
    {
      labels: { "org.opencontainers.image.revision": "c" },
      platform: { os: "linux", architecture: "amd64" },
      context: contextOf("refs/heads/main"),
      ...job,
      options: { ...options, ...job.options },
    } as Job,
    {
      file: "Dockerfile",
      name: "Dockerfile",
      bytes: Buffer.from("FROM a"),
      content: "FROM a",
      ignore: undefined,
      ...text,
    },
    app,
  );

describe("what a build is given", () => {
  it("is no text where a step may log in somewhere: what that gives is not the file's to say", async () => {
    expect(await given({ options: { secrets: new Map([["token", { value: "x" }]]) } })).toBeUndefined();
  });

  it.each<[string, () => Promise<string | undefined>]>([
    ["an argument", () => given({ options: { buildArgs: { A: "1" } } })],
    ["a target", () => given({ options: { target: "test" } })],
    ["the commit in its labels", () => given({ labels: { "org.opencontainers.image.revision": "d" } })],
    [
      "the ref, though it be protected too",
      () => given({ context: contextOf("refs/heads/release") as Job["context"] }),
    ],
    ["the platform", () => given({ platform: { os: "linux", architecture: "arm64" } })],
    ["the Dockerfile", () => given({}, { bytes: Buffer.from("FROM b") })],
    ["its name", () => given({}, { name: "web.Dockerfile" })],
    ["what it leaves out", () => given({}, { ignore: Buffer.from("") })],
  ])("is another text with another of: %s", async (_what, other) => {
    expect(await other()).not.toBe(await given());
  });

  it("is the same text for the same, wherever it is", async () => {
    expect(await given({}, { file: "web/Dockerfile" })).toBe(await given());
  });
});

describe("what names mean", () => {
  const image = (digest: string, child: string, use = "base") => ({
    name: "a",
    use,
    resolved: { digest },
    child: { digest: child },
  });
  const meant = (images: object[], downloads: object[] = []) =>
    digestImages({ images, downloads } as unknown as Resolved);

  it.each([
    ["the image", meant([image("2", "3")])],
    ["what of it this machine runs", meant([image("1", "3")])],
    ["what it is for", meant([image("1", "2", "stage")])],
    ["a download", meant([image("1", "2")], [{ url: "https://a.example", checksum: "1" }])],
    ["nothing", meant([])],
  ])("is another text with another of: %s", (_what, other) => {
    expect(other).not.toBe(meant([image("1", "2")]));
  });
});
