import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { attachEvidence, pushImage, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type EvidenceRegistry, startEvidenceRegistry } from "@goldenpath/testing/evidence-registry";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import {
  type ConstructedSigstore,
  constructSigstore,
  type SignatureFalsehood,
} from "../support/constructed-sigstore.ts";
import { loadText } from "../support/gate-answers.ts";
import { honest, workflow } from "../support/keyless-world.ts";
import { longAgo, threeYears } from "../support/long-ago.ts";
import { requireFromPypi } from "../support/pypi.ts";
import {
  builderCommit,
  builderWorkflow,
  pushAttestation,
  pushAttested,
  signManifest,
} from "../support/signed-manifests.ts";
import { useTools } from "../support/tools.ts";

// What is written for an auditor: checked by cosign alone, with no way to any network, and long after it was signed.

const run = promisify(execFile);
const tools = useTools("cosign");

/** In no log, and by a certificate that holds however long this file takes: the stand-in stamps one time. */
const unlogged: SignatureFalsehood = { entry: "none", validity: [-1_800_000, 1_800_000] };

let root: string;
let registry: EvidenceRegistry;
let keys: TestKeys;
/** Gone for three years: its certificates are over, and the timestamps of its authority alone tell when it signed. */
let sigstore: ConstructedSigstore;
let policy: LoadedPolicy;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-export-"));
  registry = await startEvidenceRegistry(true);
  keys = await makeKeys(root);
  sigstore = await longAgo(() => constructSigstore());
  const text = `version: 1
name: acme
serial: 7
sigstore:
  own: { trustedRoot: '${withoutLogs(sigstore.trustedRoot)}', proof: timestamp }
signers:
${["build", "base", "scan"].map(renderSigner).join("")}  by-workflow:
    kind: keyless
    sigstore: own
    workflow: ${workflow}
    at: ["${"c".repeat(40)}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
    environment: production
  docker:
    kind: keyless-manifest
    sigstore: own
    workflow: ${builderWorkflow}
    at: ["${builderCommit}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
`;
  await writeFile(join(root, "policy.yaml"), text);
  policy = loadText(text);
});
afterAll(async () => {
  await registry?.close();
  await rm(root, { recursive: true, force: true });
});

/** The words of `goldenpath evidence export`, and where it wrote. */
async function exportEvidence(image: TestImage, out: string) {
  const {
    code,
    out: said,
    err,
  } = await runMain(...["evidence", "export", image.reference, "--policy", join(root, "policy.yaml"), "--out", out]);
  const text = said + err;
  return { code, text, folder: join(out, image.digest.replace(":", "-")) };
}

/** The script that lies there, where nothing leads out of this machine, and no home knows anybody. */
async function check(folder: string, programs: readonly string[] = [tools.cosign]): Promise<string> {
  const home = await mkdtemp(join(root, "home-"));
  const nowhere = "http://127.0.0.1:1";
  const { stdout, stderr } = await run("sh", [join(folder, "check.sh")], {
    env: {
      HOME: home,
      PATH: [...programs.map(dirname), process.env["PATH"]].join(delimiter),
      HTTPS_PROXY: nowhere,
      HTTP_PROXY: nowhere,
    },
  });
  return stdout + stderr;
}

const renderSigner = (name: string): string =>
  `  ${name}:\n    publicKey: |\n${keys[name as keyof TestKeys].publicKey.trimEnd().replaceAll(/^/gm, "      ")}\n`;

async function makeImage(name = "shop"): Promise<TestImage> {
  const { client, server } = registry;
  const image = await pushImage(client, `${server.host}/vetted/${name}`, name);
  await attachEvidence({ client, image, policy, keys, pieces: ["provenance", "sbom", "base", "scan"] });
  const signer = sigstore.signer(honest, unlogged);
  const byWorkflow = { base: { signer } } as unknown as TestKeys;
  const pieces = ["base", "baseVerdict"] as const;
  await longAgo(() => attachEvidence({ client, image, policy, keys: byWorkflow, pieces }));
  return image;
}

describe("what was written", () => {
  let image: TestImage;
  let folder: string;
  beforeAll(async () => {
    image = await makeImage();
    ({ folder } = await exportEvidence(image, join(root, "out")));
  });

  test.each([
    [
      "a byte of a statement",
      async (copy: string) => change(copy, "evidence/01-", (text) => text.replace('"payload":"e', '"payload":"f')),
    ],
    ["a key", async (copy: string) => change(copy, "trust/base.pub", () => keys.scan.publicKey)],
    [
      "the trusted root",
      async (copy: string) => change(copy, "trust/by-workflow.trusted-root.json", () => foreignRoot),
    ],
  ])("with %s changed is refused by cosign", async (_what, spoil) => {
    const copy = await mkdtemp(join(root, "copy-"));
    await cp(folder, copy, { recursive: true });
    await spoil(copy);
    await expect(check(copy)).rejects.toThrow(/Command failed/);
  });

  test("holds by cosign, without a network, three years after it was signed", async () => {
    const said = await check(folder);
    const { pieces, rejected } = JSON.parse(await readFile(join(folder, "evidence.json"), "utf8"));
    expect(rejected).toEqual([]);
    expect(pieces).toHaveLength(6);
    expect(said.match(/Verified OK/g)).toHaveLength(pieces.length);
    const times = pieces.flatMap(({ time }: { time?: string }) => (time === undefined ? [] : [Date.parse(time)]));
    expect(times).toHaveLength(2);
    for (const time of times) expect(Date.now() - time).toBeGreaterThan(threeYears - 3_600_000);
  });

  test.each<[string, (copy: string) => Promise<unknown>]>([
    ["another image", (copy) => change(copy, "image/manifest", (text) => `${text} `)],
    [
      "another repository",
      (copy) => change(copy, "check.sh", (text) => text.replace("--repo acme/shop", "--repo acme/x")),
    ],
    [
      "another commit of the workflow",
      (copy) => change(copy, "check.sh", (text) => text.replace(/(--signer-digest )c/, "$1d")),
    ],
    ["another trusted root", (copy) => change(copy, "trust/by-workflow.trusted-root.jsonl", () => `${foreignRoot}\n`)],
  ])("is refused by GitHub's own tool of %s, where that is there", async (_what, spoil) => {
    const copy = await mkdtemp(join(root, "copy-"));
    await cp(folder, copy, { recursive: true });
    await spoil(copy);
    await check(copy);
    await expect(check(copy, [tools.cosign, await requireFromPypi("gh")])).rejects.toThrow(/Command failed/);
  });

  test("holds by GitHub's own tool as well, without a network and without a login", async () => {
    const said = await check(folder, [tools.cosign, await requireFromPypi("gh")]);
    expect(said.match(/Verified OK/g)).toHaveLength(6);
    const { pieces } = JSON.parse(await readFile(join(folder, "evidence.json"), "utf8"));
    const others = pieces.flatMap((piece: { others: string[][] }) => piece.others);
    expect(others).toHaveLength(2);
    for (const argv of others)
      expect(argv).toEqual(expect.arrayContaining(["gh", "image/manifest.json", "--repo", "acme/shop"]));
    expect(await readFile(join(folder, "index.html"), "utf8")).toContain(
      "<pre>gh attestation verify image/manifest.json",
    );
  });

  test("is the image's own words, the policy, and what people look for in files of their own", async () => {
    const bytes = (name: string) => readFile(join(folder, name));
    expect(digestOf(await bytes("image/manifest.json"))).toBe(image.digest);
    expect(digestOf(await bytes("policy.yaml"))).toBe(policy.digest);
    expect(JSON.parse((await bytes("sbom.cdx.json")).toString())).toHaveProperty("bomFormat", "CycloneDX");
    expect((await readdir(folder)).sort()).toEqual([
      "check.sh",
      "evidence",
      "evidence.json",
      "findings.json",
      "image",
      "index.html",
      "policy.yaml",
      "provenance.json",
      "sbom.cdx.json",
      "trust",
    ]);
  });

  test("is the same bytes again, and takes the place of what was there", async () => {
    const again = await exportEvidence(image, join(root, "again"));
    await writeFile(join(again.folder, "sbom.cdx.json"), "another word");
    expect((await exportEvidence(image, join(root, "again"))).code).toBe(0);
    const { stdout } = await run("diff", ["-r", folder, again.folder]);
    expect(stdout).toBe("");
  });
});

test("an export with a file of somebody's in it is left as it is, and gives way without", async () => {
  const image = await makeImage("kept");
  const { folder } = await exportEvidence(image, join(root, "kept"));
  await writeFile(join(folder, "trust", "notes.txt"), "mine");
  const refused = await exportEvidence(image, join(root, "kept"));
  expect(refused).toMatchObject({ code: 2, text: expect.stringContaining("holds something else: trust/notes.txt") });
  expect(await readFile(join(folder, "trust", "notes.txt"), "utf8")).toBe("mine");
  await rm(join(folder, "trust", "notes.txt"));
  expect(await exportEvidence(image, join(root, "kept"))).toMatchObject({ code: 0 });
});

test("an image that nobody has signed anything about is no success of its script", async () => {
  const { client, server } = registry;
  const image = await pushImage(client, `${server.host}/vetted/unsigned`, "unsigned");
  const { folder } = await exportEvidence(image, join(root, "unsigned"));
  await expect(check(folder)).rejects.toThrow(/nothing that counts was signed about this image/);
});

test("a folder that holds something else is left as it is", async () => {
  const image = await makeImage("other");
  const out = join(root, "taken");
  const folder = join(out, image.digest.replace(":", "-"));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "thesis.tex"), "years of work");
  const { code, text } = await exportEvidence(image, out);
  expect({ code, text }).toEqual({ code: 2, text: expect.stringContaining("holds something else") });
  expect(await readdir(out)).toEqual([image.digest.replace(":", "-")]);
  expect(await readdir(folder)).toEqual(["thesis.tex"]);
});

test("an index has a folder for each image of it, with the evidence that is about that one", async () => {
  const { client, server } = registry;
  const image = await pushIndex(client, `${server.host}/vetted/many`);
  await attachEvidence({ client, image, policy, keys, pieces: ["provenance", "base"] });
  const { folder } = await exportEvidence(image, join(root, "index"));
  const { children } = JSON.parse(await readFile(join(folder, "evidence.json"), "utf8"));
  expect(children.map(({ platform }: { platform: string }) => platform)).toEqual(["linux/amd64", "linux/arm64"]);
  for (const each of [folder, ...children.map((child: { folder: string }) => join(dirname(folder), child.folder))])
    expect((await check(each)).match(/Verified OK/g)).toHaveLength(2);
});

describe("what docker/github-builder signed", () => {
  let folder: string;
  beforeAll(async () => {
    const { client, server } = registry;
    const { repository, digest } = await pushImage(client, `${server.host}/vetted/attested`, "attested");
    const { mediaType, bytes } = await client.fetchManifest({ ...repository, digest });
    const platform = { os: "linux", architecture: "amd64" };
    const child = { mediaType, digest, size: bytes.byteLength, platform };
    const attestation = await pushAttestation(client, repository, child);
    const index = await pushAttested(client, repository, [[child, attestation]]);
    await longAgo(() => signManifest(client, repository, attestation, sigstore, unlogged));
    const reference = `${server.host}/vetted/attested@${index.digest}`;
    const out = join(root, "attested");
    const exported = await runMain(
      "evidence",
      "export",
      reference,
      "--policy",
      join(root, "policy.yaml"),
      "--out",
      out,
    );
    expect(exported.code).toBe(0);
    folder = join(out, digest.replace(":", "-"));
  });

  test.each([
    ["the statement", "evidence/01-slsa-dev-provenance-v1.json"],
    ["the manifest that it lies in", "evidence/01-slsa-dev-provenance-v1.manifest"],
    ["the signature of that", "evidence/01-slsa-dev-provenance-v1.sigstore"],
  ])("with a byte of %s changed is refused", async (_what, name) => {
    const copy = await mkdtemp(join(root, "copy-"));
    await cp(folder, copy, { recursive: true });
    await change(copy, name, (text) =>
      text.replace(/[0-9a-f]{3}(?=")|(?<="sig":")..../, (found) =>
        (/^0+$/.test(found) ? "1" : "0").repeat(found.length),
      ),
    );
    await expect(check(copy)).rejects.toThrow(/Command failed/);
  });

  test("is checked by the manifest's digest and cosign, from the folder alone, three years on", async () => {
    const said = await check(folder);
    expect(said.match(/Verified OK/g)).toHaveLength(1);
    expect(said.match(/: OK$/gm)).toHaveLength(2);
  });
});

test("a page shows what strangers wrote as text alone", async () => {
  const { client, server } = registry;
  const image = await pushImage(client, `${server.host}/vetted/hostile`, "hostile");
  const script = "<script>alert(1)</script>";
  const type = `https://acme.example/${script}'; rm -rf "$HOME" #`;
  const statement = buildStatement(buildSubjects(image.repository, [image.digest]), type, { found: script });
  await attachStatement(client, image, statement, keys.base.signer, new Date());
  const { folder } = await exportEvidence(image, join(root, "hostile"));
  const page = await readFile(join(folder, "index.html"), "utf8");
  expect(page).not.toContain("<script");
  expect(page).toContain("&#60;script&#62;");
  expect(await check(folder)).toContain("Verified OK");
});

/** GitHub's own tool wants an entry of a log wherever the root names one. */
const withoutLogs = (trustedRoot: string): string => JSON.stringify({ ...JSON.parse(trustedRoot), tlogs: [] });

let foreignRoot = "";
beforeAll(async () => {
  foreignRoot = withoutLogs((await constructSigstore()).trustedRoot);
});

async function change(folder: string, start: string, edit: (text: string) => string): Promise<void> {
  const [directory, name] = [join(folder, dirname(start)), basename(start)];
  const there = await readdir(directory);
  const found = there.find((each) => each === name) ?? there.find((each) => each.startsWith(name));
  if (found === undefined) throw new TypeError(`${start} is not there`);
  const before = await readFile(join(directory, found), "utf8");
  expect(edit(before)).not.toBe(before);
  await writeFile(join(directory, found), edit(before));
}
