import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gatherImpact } from "@goldenpath/core/policy/gather-impact";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createRegistryClient } from "@goldenpath/registry-client/create";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import {
  attachEvidence,
  type Falsehoods,
  pushImage,
  pushIndex,
  type TestImage,
  tellFound,
} from "@goldenpath/testing/chain";
import { makeKeys, type TestKeys } from "@goldenpath/testing/chain-keys";
import { type ChainPolicy, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { makeKey, renderSigners } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";

// A changed policy against what is in a registry, signed by the stages' keys, before it is in force.

let server: RegistryServer;
let client: RegistryClient;
let directory: string;
let keys: TestKeys;
let policy: ChainPolicy;
let repository: string;
const images: Record<string, TestImage> = {};

const stage = async (name: string, falsehoods?: Falsehoods): Promise<void> => {
  const image =
    name === "index" ? await pushIndex(client, repository, name) : await pushImage(client, repository, name);
  const { bytes, mediaType } = await client.fetchManifest({ ...image.repository, digest: image.digest });
  await client.pushManifest(image.repository, bytes, mediaType, name);
  await attachEvidence({ client, image, policy, keys, ...(falsehoods === undefined ? {} : { falsehoods }) });
  images[name] = image;
};

beforeAll(async () => {
  server = await startRegistry();
  client = createRegistryClient({ ports: silentPorts(), env: {} });
  directory = await mkdtemp(join(tmpdir(), "goldenpath-impact-"));
  keys = await makeKeys(directory);
  const to = `${server.host}/vetted`;
  repository = `${to}/shop`;
  policy = await writeChainPolicy({ directory, keys, from: `${server.host}/quarantine`, to });
  await stage("fresh");
  await stage("index");
  await stage("older", { scanVerdict: { age: 3 * 86_400_000 } });
  await stage("stale", { scanVerdict: { age: 8 * 86_400_000 } });
  await stage("failed", { baseVerdict: { failed: true } });
});
afterAll(async () => {
  await client.close();
  await server.close();
  await rm(directory, { recursive: true });
});

/** The policy with its next serial, and edits. */
async function change(edit: (text: string) => string, accepts = "5d"): Promise<string> {
  const text = (await readFile(policy.file, "utf8")).replace("serial: 5", `serial: 6\naccepts: ${accepts}`);
  const file = join(await mkdtemp(join(directory, "next-")), "policy.yaml");
  await writeFile(file, edit(text));
  return file;
}
const impact = (file: string, ...more: string[]) =>
  runMain(
    ...["policy", "impact", file, "--policy", policy.file, "--environment", "production"],
    ...["--images", repository, ...more],
  );
const outcomes = async (file: string): Promise<Record<string, string>> => {
  const { images: told } = JSON.parse((await impact(file, "--json")).out);
  return Object.fromEntries(
    told.map(({ tags, outcome }: { tags: string[]; outcome: string }) => [tags.join(), outcome]),
  );
};

describe("goldenpath policy impact", () => {
  test("a change of nothing lets stay what is let through, and says what is refused as before", async () => {
    const same = await change((text) => text);
    expect(await outcomes(same)).toEqual({
      ...{ fresh: "stays", index: "stays", older: "stays", stale: "refused", failed: "refused" },
    });
    expect((await impact(same, "--refuse-falling")).code).toBe(0);
  });

  test("a shorter age refuses what is older, and says so of each; with --refuse-falling it is a failure", async () => {
    const shorter = await change((text) =>
      text.replaceAll("stage: scan, signers: [scan], maxAge: 7d", "stage: scan, signers: [scan], maxAge: 2d"),
    );
    expect(await outcomes(shorter)).toMatchObject({ fresh: "stays", index: "stays", older: "falls", stale: "refused" });
    const { code, out } = await impact(shorter);
    expect(code).toBe(0);
    expect(out).toContain(`${images["older"]?.reference} (older): would be refused\n    gate.stale: scan of `);
    expect(out).toContain(
      "5 images in environment 'production', by serial 6 of policy acme instead of 5:\n  1 would be",
    );
    expect((await impact(shorter, "--refuse-falling")).code).toBe(1);
    const { out: comment } = await impact(shorter, "--markdown");
    expect(comment).toContain("| 1 | would be refused |");
    expect(comment).toContain("<details open><summary>1 would be refused</summary>");
  });

  test("a longer one lets in what was refused for that alone", async () => {
    const longer = await change((text) =>
      text.replaceAll("stage: scan, signers: [scan], maxAge: 7d", "stage: scan, signers: [scan], maxAge: 30d"),
    );
    expect(await outcomes(longer)).toMatchObject({ stale: "let-in", failed: "refused", fresh: "stays" });
  });

  test("another key for a stage refuses all; what accepts leaves out has to be judged again", async () => {
    const other = await change((text) => text.replaceAll("signers: [scan]", "signers: [promote]"));
    expect(await outcomes(other)).toMatchObject({ fresh: "falls", index: "falls", older: "falls" });
    const strict = await change((text) => text, "[]");
    expect(await outcomes(strict)).toMatchObject({ fresh: "again", index: "again", older: "again", stale: "refused" });
  });

  test("each image is read once for both policies", async () => {
    const same = await change((text) => text);
    server.requests.length = 0;
    await impact(same);
    const asked = server.requests.filter(({ path }) => !path.includes("/tags/")).map(({ path }) => path);
    const twice = asked.filter((path, index) => asked.indexOf(path) !== index && !path.includes("/manifests/"));
    expect(twice).toEqual([]);
    // Of a whole image: its tag, its config, its list, and a manifest and a bundle for each of six statements.
    expect(asked.length).toBeLessThan(5 * 16 + 30);
  });

  test("each image is judged among all as it is alone, by a program that has seen no other", async () => {
    const shorter = await change((text) =>
      text.replaceAll("stage: scan, signers: [scan], maxAge: 7d", "stage: scan, signers: [scan], maxAge: 2d"),
    );
    const judge = async (reader: RegistryClient) => {
      const load = async (uri: string) => {
        const bytes = await readFile(uri);
        return { policy: parsePolicy(bytes, uri), uri, digest: digestOf(bytes) };
      };
      const [before, after] = [await load(policy.file), await load(shorter)];
      const asked = { environment: "production", repositories: [parseRepository(repository)], now };
      return (await gatherImpact(reader, { before, after, ...asked })).images;
    };
    const now = new Date();
    const together = await judge(client);
    expect(new Set(together.map(({ outcome }) => outcome))).toEqual(new Set(["stays", "falls", "refused"]));
    for (const each of together) expect(await judge({ ...client, listTags: async () => each.tags })).toEqual([each]);
  });

  test.each<[what: string, args: string[], says: string]>([
    ["no repository of the environment", ["--images", "localhost:1/other/shop"], "is none of environment 'production'"],
    ["an environment that is none", ["--environment", "prod"], "'prod'"],
    ["two forms", ["--json", "--markdown"], "expected NEW"],
  ])("%s is refused", async (_what, args, says) => {
    const { code, err } = await impact(await change((text) => text), ...args);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(says) });
  });

  test("an image that can't be read is told, and no exit code says that all is well", async () => {
    const { digest } = images["fresh"] ?? {};
    server.faults = [{ path: `/referrers/${digest}`, action: { kind: "status", status: 403 } }];
    const { code, out, err } = await impact(await change((text) => text));
    server.faults = [];
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("1 of 5 can't be read") });
    expect(out).toContain(`${images["fresh"]?.reference} (fresh): can't be read`);
  });
});

describe("goldenpath policy impact, of what stages would refuse by what is signed", () => {
  let told: ChainPolicy;
  const images = () => `${server.host}/vetted/told`;
  const security = makeKey();

  beforeAll(async () => {
    const { publicKeyPem } = await security;
    const to = `${server.host}/vetted`;
    const signers = renderSigners({ security: publicKeyPem });
    told = await writeChainPolicy({ directory, keys, from: `${server.host}/quarantine`, to, signers });
    const image = await pushImage(client, images(), "told", "1");
    await attachEvidence({ client, image, policy: told, keys, falsehoods: tellFound(image.digest) });
  });

  const judge = async (more: string, edit = (text: string) => text, ...options: string[]) => {
    const text = await readFile(told.file, "utf8");
    const next = join(await mkdtemp(join(directory, "next-")), "policy.yaml");
    const accepts = `[{ serial: 5, digest: "${told.digest}" }]`;
    await writeFile(next, `${edit(text.replace("serial: 5", `serial: 6\naccepts: ${accepts}`))}${more}`);
    const { code, out, err } = await runMain(
      ...["policy", "impact", next, "--policy", told.file, "--environment", "production"],
      ...["--images", images(), "--json", ...options],
    );
    if (out === "") throw new Error(err);
    const [judged] = JSON.parse(out).images as { outcome: string; because: { rule: string }[]; unreadable?: string }[];
    return { because: [], ...judged, code };
  };
  const rule = (stage: string, expression: string): string =>
    `rules:\n  - { name: own, stage: ${stage}, expression: '${expression}', message: m, remedy: r }\n`;

  test.each<[what: string, more: string, outcome: string, rules: string[]]>([
    ["a label that it lacks", rule("base", '"owner" in config.labels'), "falls", ["base.rule"]],
    ["a package that was found", rule("scan", 'findings.all(f, f.packageName != "left")'), "falls", ["scan.rule"]],
    ["packages of its layers", rule("base", "size(packages) > 0"), "unknown", ["base.rule"]],
    ["a file", "images: { mustHave: [{ file: /opt/agent }] }\n", "unknown", ["base.missing"]],
    ["what it has", rule("base", 'size(layers) == 2 && base.name == "golden"'), "stays", []],
  ])("that ask for %s", async (_what, more, outcome, rules) => {
    const judged = await judge(more, undefined, "--refuse-falling");
    expect({ outcome: judged.outcome, rules: judged.because.map((each) => each.rule) }).toEqual({ outcome, rules });
    expect(judged.code).toBe(outcome === "stays" ? 0 : 1);
  });

  test("a signed exception counts for each policy by its own granters, and a registry that can't be asked is told", async () => {
    const strict = (text: string) => text.replace("failOn: high", "failOn: medium");
    const place = `${server.host}/platform/exceptions`;
    const section = `signedExceptions: { repository: ${place}, signers: [{ signer: security }] }\n`;
    expect(await judge(section, strict)).toMatchObject({ outcome: "falls", because: [{ rule: "scan.severity" }] });
    const file = join(directory, "granting.yaml");
    await writeFile(file, (await readFile(told.file, "utf8")) + section);
    const { code, err } = await runMain(
      ...["exception", "grant", "--policy", file, "--repository", images(), "--rule", "scan.severity"],
      ...["--vulnerability", "CVE-2026-1", "--reason", "r", "--owner", "o", `--key=${(await security).privateKeyPem}`],
      ...["--expires", new Date(Date.now() + 864e5).toISOString().slice(0, 10)],
    );
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect((await judge(section, strict)).outcome).toBe("stays");
    expect((await judge("", strict)).outcome).toBe("falls");
    server.faults = [{ path: "/platform/exceptions/", action: { kind: "status", status: 403 } }];
    const { outcome, unreadable } = await judge(section, strict);
    server.faults = [];
    expect({ outcome, unreadable }).toEqual({ outcome: undefined, unreadable: expect.stringContaining("exceptions") });
  });
});

describe("goldenpath policy explain", () => {
  const explain = (name: string, ...more: string[]) =>
    runMain("policy", "explain", images[name]?.reference ?? "", "--policy", policy.file, ...more);

  test("says what each environment asks for, what is there, and what is not", async () => {
    const { code, out } = await explain("stale");
    expect(code).toBe(0);
    expect(out).toContain(`${images["stale"]?.reference} does not have all that environment 'production' requires.`);
    expect(out).toMatch(/✓ base: the word of 'base', 7d old at most\n {4}.*there, by 'base'/);
    expect(out).toMatch(/✗ scan: the word of 'scan', 7d old at most\n/);
    expect(out).toContain("goldenpath scan --image");
    expect(out).toContain("environment 'staging' requires");
    expect((await explain("fresh", "--environment", "staging")).out).toContain("has all that environment 'staging'");
  });

  test("for a program it is JSON; where no environment takes it, an error says which do", async () => {
    const { out } = await explain("fresh", "--json", "--environment", "production");
    expect(JSON.parse(out).environments).toMatchObject([{ environment: "production", isMet: true }]);
    const elsewhere = await pushImage(client, `${server.host}/other/shop`);
    const { code, err } = await runMain("policy", "explain", elsewhere.reference, "--policy", policy.file);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("takes images from where") });
  });
});
