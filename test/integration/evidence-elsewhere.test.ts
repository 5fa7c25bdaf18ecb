import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import type { TestKeys } from "@goldenpath/testing/chain-keys";
import { type EvidenceRegistry, startEvidenceRegistry } from "@goldenpath/testing/evidence-registry";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { runMain } from "../support/cli.ts";
import { type ConstructedSigstore, constructSigstore } from "../support/constructed-sigstore.ts";
import { loadText } from "../support/gate-answers.ts";
import { type GithubStand, startGithub } from "../support/github-api.ts";
import { honest, workflow } from "../support/keyless-world.ts";

// What was signed elsewhere and does not lie beside the image: from a file, or from what GitHub keeps. GitHub's API is
// its description's stand-in; what it hands out is verified as everything else.

let root: string;
let registry: EvidenceRegistry;
let sigstore: ConstructedSigstore;
let foreign: ConstructedSigstore;
let policy: LoadedPolicy;
let counter = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "goldenpath-elsewhere-"));
  registry = await startEvidenceRegistry(true);
  [sigstore, foreign] = await Promise.all([constructSigstore(), constructSigstore()]);
  const text = `version: 1
name: acme
serial: 7
sigstore:
  own: { trustedRoot: '${sigstore.trustedRoot}', proof: log }
signers:
  base:
    kind: keyless
    sigstore: own
    workflow: ${workflow}
    at: ["${"c".repeat(40)}"]
    ownerId: "4321"
    repositories: ["https://github.com/acme/*"]
environments:
  production:
    from: ["${registry.server.host}/quarantine"]
    to: ["${registry.server.host}/vetted"]
    promoter: base
    requires: [{ stage: base, signers: [base], maxAge: 1h }]
`;
  await writeFile(join(root, "policy.yaml"), text);
  policy = loadText(text);
});
afterAll(async () => {
  await registry?.close();
  await rm(root, { recursive: true, force: true });
});

/** An image in quarantine without any evidence, and its evidence as bundles, which lie beside a copy that nobody asks. */
async function makeImage({ by = sigstore, failed = false, content = `image ${++counter}` } = {}): Promise<{
  image: TestImage;
  bundles: string[];
  content: string;
}> {
  const { client, server } = registry;
  const image = await pushImage(client, `${server.host}/quarantine/shop`, content);
  const copy = await pushImage(client, `${server.host}/copies/shop`, content);
  const keys = { base: { signer: by.signer(honest) } } as unknown as TestKeys;
  const falsehoods = { baseVerdict: failed ? { failed, age: 1_000 } : {} };
  await attachEvidence({ client, image: copy, policy, keys, pieces: ["base", "baseVerdict"], falsehoods });
  const bundles: string[] = [];
  for (const { digest } of await client.listReferrers(copy.repository, copy.digest)) {
    const { kind, manifest } = await client.fetchManifest({ ...copy.repository, digest });
    const [layer] = kind === "image" ? manifest.layers : [];
    if (layer === undefined) throw new TypeError("no bundle");
    bundles.push(new TextDecoder().decode(await client.fetchBlob(copy.repository, layer)));
  }
  return { image, bundles, content };
}

async function writeLines(bundles: readonly string[], name = `bundles-${++counter}.jsonl`): Promise<string> {
  const path = join(root, name);
  await writeFile(path, `${bundles.join("\n")}\n`);
  return path;
}

const onPolicy = () => ["--policy", join(root, "policy.yaml")];
async function verify(image: TestImage, ...more: string[]) {
  const directory = ["--result-dir", join(root, `result-${++counter}`)];
  const { code, out, err } = await runMain(
    ...["verify", image.reference, ...onPolicy(), "--environment", "production", ...directory, ...more, "--quiet"],
  );
  return { code, text: out + err };
}
const attach = async (image: TestImage, ...more: string[]) => {
  const { code, out, err } = await runMain("evidence", "attach", image.reference, ...onPolicy(), ...more);
  return { code, text: out + err };
};
const countReferrers = async ({ repository, digest }: TestImage) =>
  (await registry.client.listReferrers(repository, digest)).length;
const swapPayload = (bundle: string) => bundle.replace('"payload":"e', '"payload":"f');

describe("bundles from files", () => {
  test.each([
    ["changed after they were signed", async () => (await makeImage()).bundles.map(swapPayload)],
    ["of another image", async () => (await makeImage()).bundles],
  ])("%s count for nothing", async (_what, make) => {
    const { image, bundles } = await makeImage();
    const file = await writeLines(await make());
    const { code, text } = await verify(image, "--bundle", file);
    // What is no statement any more is no bundle that anybody could give.
    expect([1, 2]).toContain(code);
    expect(text).toMatch(/gate\.missing|is not acceptable|not an in-toto statement/);
    expect(await verify(image, "--bundle", await writeLines(bundles))).toMatchObject({ code: 0 });
  });

  test("of a Sigstore that the policy does not trust count for nothing", async () => {
    const { image, bundles } = await makeImage({ by: foreign });
    const { code, text } = await verify(image, "--bundle", await writeLines(bundles));
    expect(code).toBe(1);
    expect(text).toMatch(/its certificate or its proof does not hold/);
  });

  test("whose signature is another bundle's count for nothing", async () => {
    const { image, bundles } = await makeImage();
    const signatures = bundles.map((bundle) => /"sig":"[^"]+"/.exec(bundle)?.[0] ?? "");
    const swapped = bundles.map((bundle, at) => bundle.replace(/"sig":"[^"]+"/, signatures[1 - at] ?? ""));
    expect(await verify(image, "--bundle", await writeLines(swapped))).toMatchObject({ code: 1 });
    expect(await verify(image, "--bundle", await writeLines(bundles))).toMatchObject({ code: 0 });
  });

  test("count beside what the registry has, and it is said that they are not there", async () => {
    const { image, bundles } = await makeImage();
    expect(await verify(image)).toMatchObject({ code: 1, text: expect.stringContaining("gate.missing") });
    const [one = "", other = ""] = bundles;
    const files = [await writeLines([one], "one.json"), await writeLines([other], "other.json")];
    const { code, text } = await verify(image, ...files.flatMap((file) => ["--bundle", file]));
    expect(code).toBe(0);
    expect(text).toContain("not in the registry: no promotion takes it along");
    expect(await countReferrers(image)).toBe(0);
  });

  test("hide nothing of what is there: a newer failure in the registry stays one", async () => {
    const { image, bundles } = await makeImage();
    const keys = { base: { signer: sigstore.signer(honest) } } as unknown as TestKeys;
    const falsehoods = { baseVerdict: { failed: true, age: 1_000 } };
    const facts = { client: registry.client, image, policy, keys, falsehoods };
    await attachEvidence({ ...facts, pieces: ["base", "baseVerdict"] });
    const { code, text } = await verify(image, "--bundle", await writeLines(bundles));
    expect(code).toBe(1);
    expect(text).toContain("gate.failed");
  });

  test.each([
    ["nothing.json", undefined, "bundle-unreadable", /ENOENT/],
    ["empty.jsonl", "\n", "bundle-invalid", /it is empty/],
    ["text.json", "no bundle", "bundle-invalid", /it is not JSON/],
    ["second.jsonl", "{}\n{}\n", "bundle-invalid", /second\.jsonl:1/],
  ])("%s is an error that names the file", async (name, content, _code, says) => {
    const { image } = await makeImage();
    if (content !== undefined) await writeFile(join(root, name), content);
    const { code, text } = await verify(image, "--bundle", join(root, name));
    expect(code).toBe(2);
    expect(text).toMatch(says);
    expect(text).toContain(name);
  });
});

describe("attestations that GitHub keeps", () => {
  let github: GithubStand;
  beforeEach(async () => {
    github = await startGithub();
    vi.stubEnv("GITHUB_API_URL", github.url);
    vi.stubEnv("GITHUB_TOKEN", "a-token");
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await github.close();
    expect(github.faults).toEqual([]);
  });
  const keep = (image: TestImage, bundles: readonly string[]) =>
    github.attestations.set(
      image.digest,
      bundles.map((bundle) => JSON.parse(bundle) as object),
    );

  test("changed on the way count for nothing; as they were signed they do", async () => {
    const { image, bundles } = await makeImage();
    keep(image, bundles.map(swapPayload));
    expect(await verify(image, "--from-api", "acme/shop")).toMatchObject({ code: 1 });
    keep(image, bundles);
    expect(await verify(image, "--from-api", "acme/shop")).toMatchObject({ code: 0 });
  });

  test("that are not there are missing", async () => {
    const { image } = await makeImage();
    const { code, text } = await verify(image, "--from-api", "acme/shop");
    expect(code).toBe(1);
    expect(text).toContain("gate.missing");
  });

  test("of a repository that is not shown are not known: a failure among them is not passed over", async () => {
    const { image, bundles, content } = await makeImage();
    const { bundles: failures } = await makeImage({ failed: true, content: content });
    const passes = ["--bundle", await writeLines(bundles)];
    keep(image, failures);
    expect(await verify(image, ...passes, "--from-api", "acme/shop")).toMatchObject({
      code: 1,
      text: expect.stringContaining("gate.failed"),
    });
    github.isHidden = true;
    for (const more of [passes, []]) {
      const { code, text } = await verify(image, ...more, "--from-api", "acme/shop");
      expect(code).toBe(2);
      expect(text).toContain("GitHub does not show repository acme/shop");
    }
    // There are none, and the repository is shown: what was given is all that there is.
    github.isHidden = false;
    github.attestations.clear();
    expect(await verify(image, ...passes, "--from-api", "acme/shop")).toMatchObject({ code: 0 });
  });

  test.each([
    [
      "a token that may not read them",
      { status: 403, body: { message: "Resource not accessible" } },
      /may read|answers 403/,
    ],
    [
      "an answer without the bundle",
      { status: 200, body: { attestations: [{ repository_id: 1 }] } },
      /without its bundle/,
    ],
    [
      "an answer that is none",
      { status: 200, body: { attestations: [{ bundle: { mediaType: "x" } }, {}] } },
      /without its/,
    ],
    [
      "a flood",
      { status: 200, body: { attestations: [] }, link: "/repos/acme/shop/attestations/x" },
      /more than 5 pages/,
    ],
    [
      "a next page elsewhere",
      { status: 200, body: { attestations: [] }, link: "https://evil.example/" },
      /another host/,
    ],
  ])("%s is an error, never a pass", async (_what, { status, body, ...more }, says) => {
    const { image } = await makeImage();
    const link: Record<string, string> = "link" in more ? { link: `<${more.link}>; rel="next"` } : {};
    github.intercept = () => ({ status, body, headers: link });
    const { code, text } = await verify(image, "--from-api", "acme/shop");
    expect(code).toBe(2);
    expect(text).toMatch(says);
  });

  describe("by their addresses alone", () => {
    /** A literal of Snappy's, whatever is in it. */
    const compress = (text: string): Buffer => {
      const bytes = Buffer.from(text);
      const length: number[] = [];
      for (let rest = bytes.length; ; rest = Math.floor(rest / 128)) {
        length.push(rest < 128 ? rest : (rest % 128) + 128);
        if (rest < 128) break;
      }
      const size = Buffer.alloc(4);
      size.writeUInt32LE(bytes.length - 1);
      return Buffer.concat([Buffer.from(length), Buffer.from([0xfc]), size, bytes]);
    };
    let store: Server;
    let kept: Buffer[];
    let authorizations: (string | undefined)[];
    beforeEach(async () => {
      [kept, authorizations] = [[], []];
      store = createServer(({ url = "", headers }, response) => {
        authorizations.push(headers.authorization);
        const found = kept[Number(url.slice(1))];
        response.writeHead(found === undefined ? 403 : 200).end(found);
      });
      await new Promise<void>((resolve) => store.listen(0, "127.0.0.1", resolve));
    });
    afterEach(() => store.close());
    const list = (count: number, scheme = "http") => {
      const at = `${scheme}://127.0.0.1:${(store.address() as AddressInfo).port}`;
      const attestations = Array.from({ length: count }, (_, index) => ({
        ...{ repository_id: 1, bundle_url: `${at}/${index}` },
      }));
      github.intercept = () => ({ status: 200, body: { attestations } });
    };

    test("are fetched, without the token, and count as those that are in the list", async () => {
      const { image, bundles } = await makeImage();
      kept = bundles.map(compress);
      list(bundles.length);
      expect(await verify(image, "--from-api", "acme/shop")).toMatchObject({ code: 0 });
      expect(authorizations).toEqual(bundles.map(() => undefined));
    });

    test.each<[string, (bundles: string[]) => Buffer[], string]>([
      ["of which one is kept back", (bundles) => bundles.slice(1).map(compress), "answers 403"],
      ["that are not compressed", (bundles) => bundles.map((text) => Buffer.from(text)), "not as GitHub keeps it"],
      ["that end early", (bundles) => bundles.map((text) => compress(text).subarray(0, -1)), "not as GitHub keeps it"],
    ])("%s are an error, never a pass", async (_what, keep, says) => {
      const { image, bundles } = await makeImage();
      kept = keep(bundles);
      list(bundles.length);
      const { code, text } = await verify(image, "--from-api", "acme/shop");
      expect({ code, text }).toEqual({ code: 2, text: expect.stringContaining(says) });
    });

    test("that unpack to more than is read are an error before they are all held", async () => {
      const { image } = await makeImage();
      // 15 MiB of one byte: a literal, and copies of 64 bytes of it.
      const copies = (15 * 1024 * 1024 - 64) / 64;
      const start = [0x80, 0x80, 0xc0, 0x07, 0xf0, 63, ...Buffer.alloc(64, 32)];
      kept = Array<Buffer>(40).fill(
        Buffer.concat([Buffer.from(start), Buffer.alloc(3 * copies, Buffer.from([0xfe, 1, 0]))]),
      );
      list(kept.length);
      const { code, text } = await verify(image, "--from-api", "acme/shop");
      expect({ code, text }).toEqual({ code: 2, text: expect.stringContaining("there are more than 67108864 bytes") });
      expect(authorizations.length).toBeLessThan(12);
    });

    test("that lead nowhere are an error, and nobody is asked", async () => {
      const { image } = await makeImage();
      list(1, "ftp");
      const { code, text } = await verify(image, "--from-api", "acme/shop");
      expect({ code, text }).toEqual({ code: 2, text: expect.stringContaining("an address that is none") });
      expect(authorizations).toEqual([]);
    });

    test("count for nothing where they were changed", async () => {
      const { image, bundles } = await makeImage();
      kept = bundles.map(swapPayload).map(compress);
      list(bundles.length);
      expect(await verify(image, "--from-api", "acme/shop")).toMatchObject({ code: 1 });
    });
  });

  test("are read on all pages", async () => {
    const { image, bundles } = await makeImage();
    const { bundles: others } = await makeImage();
    keep(image, [...Array.from({ length: 110 }, () => others[0] ?? ""), ...bundles]);
    expect(await verify(image, "--from-api", "acme/shop")).toMatchObject({ code: 0 });
    expect(github.requests).toHaveLength(2);
  });

  test("of something that is no repository are refused before anything is asked", async () => {
    const { image } = await makeImage();
    const { code, text } = await verify(image, "--from-api", "acme");
    expect({ code, requests: github.requests }).toEqual({ code: 2, requests: [] });
    expect(text).toContain("expected OWNER/REPO");
  });

  test("are put beside the image on request, once, and count from there on", async () => {
    const { image, bundles } = await makeImage();
    keep(image, bundles);
    const first = await attach(image, "--from-api", "acme/shop");
    expect(first).toMatchObject({ code: 0, text: expect.stringContaining("2 signed statements attached") });
    expect(await attach(image, "--from-api", "acme/shop")).toMatchObject({
      code: 0,
      text: expect.stringContaining("0 signed statements attached"),
    });
    expect(await countReferrers(image)).toBe(2);
    vi.unstubAllEnvs();
    expect(await verify(image)).toMatchObject({ code: 0 });
  });
});

describe("goldenpath evidence attach", () => {
  test("attaches nothing that does not count, and says why", async () => {
    const { image, bundles } = await makeImage({ by: foreign });
    const { code, text } = await attach(image, "--bundle", await writeLines(bundles));
    expect(code).toBe(1);
    expect(text).toMatch(/not attached, on sha256:[0-9a-f]{64}: .*does not hold/);
    expect(await countReferrers(image)).toBe(0);
  });

  test("says where the bundles are of another image, or none are given", async () => {
    const [{ image }, { bundles }] = [await makeImage(), await makeImage()];
    const file = await writeLines(bundles);
    expect(await attach(image, "--bundle", file)).toMatchObject({
      code: 2,
      text: expect.stringContaining("none of the bundles is about"),
    });
    expect(await attach(image)).toMatchObject({ code: 2, text: expect.stringContaining("--from-api OWNER/REPO") });
  });
});
