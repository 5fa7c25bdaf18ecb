import { mkdtemp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import { mirrorInputs, mirrorScannerData } from "@goldenpath/core/verbs/mirror-data";
import { parseInputs, type VerbOutcome } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type DataPublisher,
  publishGrypeDatabase,
  publishOsvData,
  startPublisher,
} from "../support/data-publishers.ts";
import { writeOsvData } from "../support/osv-data.ts";
import {
  client,
  debianRelease,
  dpkgStanza,
  exampleDatabase,
  keys,
  libcVersions,
  policyText,
  pushImage,
  registry,
  root,
  scan,
  tell,
  useScanWorld,
  type WorldPolicy,
} from "../support/scan-world.ts";

// The real grype and osv-scanner, by data that goldenpath data mirror has put into a registry.
useScanWorld("osv-scanner");

const built = "2026-11-01T00:00:00Z";
const mirroredAt = new Date("2026-11-02T06:00:00Z");
const soonAfter = new Date("2026-11-02T07:00:00Z");

let data: StageKey;
let stranger: StageKey;
let publisher: DataPublisher;
let image = "";
/** A repository of its own for each test. */
let place = "";
let counter = 0;

beforeAll(async () => {
  data = await makeKey();
  stranger = await makeKey();
  publisher = await startPublisher();
  ({ reference: image } = await pushImage([
    {
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.vulnerable, "glibc"),
    },
  ]));
});
afterAll(() => publisher?.close());
beforeEach(async () => {
  place = `${registry.host}/platform/data-${++counter}`;
  await publishGrypeDatabase(publisher, exampleDatabase, { built });
});

function policyOf({ scanners = "grype", signer = "data", failOn = "high", more = "" } = {}): WorldPolicy {
  const source = `data: { repository: "${place}", signers: [${signer}], maxAge: 2d${more} }`;
  return {
    scan: `failOn: ${failOn}, databaseMaxAge: unlimited, scanners: [${scanners}], ${source}`,
    signers: { data: data.publicKeyPem, stranger: stranger.publicKeyPem },
    scanIsRequired: true,
  };
}

interface Mirroring {
  policy?: WorldPolicy;
  key?: StageKey;
  inputs?: Record<string, string>;
  now?: Date;
}

async function mirror({ policy = policyOf(), key = data, inputs = {}, now = mirroredAt }: Mirroring = {}) {
  const directory = await mkdtemp(join(root, "mirror-"));
  await writeFile(join(directory, "policy.yaml"), policyText(policy));
  const sources = `grype=${publisher.url}/databases\nosv-scanner=${publisher.url}/osv\nkev=${publisher.url}/kev.json`;
  const raw = { policy: "policy.yaml", key: key.privateKeyPem, sources, ...inputs };
  return mirrorScannerData(parseInputs(mirrorInputs, raw), {
    ...{ ports: silentPorts(), workingDirectory: directory, temporaryDirectory: directory },
    ...{ env: {}, signal: new AbortController().signal, now: () => now },
  });
}

const scanMirrored = (policy = policyOf(), run: Parameters<typeof scan>[1] = {}): Promise<VerbOutcome> =>
  scan(image, { policy, now: soonAfter, ...run, inputs: { database: "", ...run.inputs } });

const refused = { verdict: "fail", found: ["scan.severity: CVE-2023-4911 in libc6 2.36-9+deb12u1"] };
const errorOf = (error: string) => ({ verdict: "error", found: [], error });

const repository = () => ({ registry: registry.host, name: place.slice(registry.host.length + 1) });
/** What is at the tag, changed, and put there again. */
async function replace(change: (manifest: ImageManifest) => void, tag = "grype"): Promise<void> {
  const found = await client.fetchManifest({ ...repository(), tag });
  if (found.kind !== "image") throw new Error("an index");
  const manifest = structuredClone(found.manifest);
  change(manifest);
  await client.pushManifest(repository(), Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest, "grype");
}

describe("data that does not count is an error, and the scan says nothing", () => {
  test("none was mirrored", async () => {
    const outcome = await scanMirrored();
    expect(tell(outcome)).toEqual(errorOf("image-not-found"));
    expect(outcome.result.error?.message).toContain(`${place}:grype is not there`);
  });

  test("the input database is refused", async () => {
    await mirror();
    expect(tell(await scanMirrored(policyOf(), { inputs: { database: exampleDatabase } }))).toEqual(
      errorOf("input-invalid"),
    );
  });

  test("signed by another signer of the policy, and by nobody of it", async () => {
    await mirror({ policy: policyOf({ signer: "stranger" }), key: stranger });
    expect(tell(await scanMirrored())).toEqual(errorOf("data-untrusted"));
    const own = policyOf({ signer: "stranger" });
    expect(tell(await scanMirrored(own))).toEqual(refused);
  });

  test("unsigned: another bundle, none at all, and no artifact of data", async () => {
    await mirror();
    const bytes = Buffer.from("{}");
    await replace(({ layers: [bundle] }) => {
      Object.assign(bundle ?? {}, { digest: digestOf(bytes), size: 2, data: bytes.toString("base64") });
    });
    expect(tell(await scanMirrored())).toEqual(errorOf("data-untrusted"));
    await replace((manifest) => {
      manifest.layers.shift();
    });
    expect(tell(await scanMirrored())).toEqual(errorOf("data-untrusted"));
    await replace((manifest) => {
      manifest.artifactType = "application/vnd.acme";
    });
    expect(tell(await scanMirrored())).toEqual(errorOf("data-untrusted"));
  });

  test("swapped: the bundle is right, and the data behind it another", async () => {
    await mirror();
    const other = Buffer.from("a database that knows nothing");
    const blob = { mediaType: mediaTypes.ociEmpty, digest: digestOf(other), size: other.byteLength };
    await client.pushBlob(repository(), blob, () => other);
    await replace(({ layers: [, file] }) => {
      Object.assign(file ?? {}, { digest: blob.digest, size: blob.size });
    });
    const outcome = await scanMirrored();
    expect(tell(outcome)).toEqual(errorOf("data-untrusted"));
    // Not a byte of it was asked for.
    expect(registry.requests.filter(({ method, path }) => method === "GET" && path.includes(blob.digest))).toEqual([]);
  });

  test("another scanner's, under this one's tag", async () => {
    const osv = await mkdtemp(join(root, "osv-"));
    await writeOsvData(osv, [{ id: "OSV-1", ecosystem: "npm", package: "lodash" }], new Date(built));
    await publishOsvData(publisher, osv, ["npm"]);
    await mirror({ inputs: { scanners: "osv-scanner", ecosystems: "npm" } });
    await replace(() => undefined, "osv-scanner");
    const outcome = await scanMirrored();
    expect(tell(outcome)).toEqual(errorOf("data-untrusted"));
    expect(outcome.result.error?.message).toContain("it is the data of osv-scanner, and not of grype");
  });

  test.each([
    ["an hour more than the policy's two days ago", "2026-11-04T07:00:00Z"],
    ["tomorrow", "2026-11-01T06:00:00Z"],
  ])("seen as the newest %s", async (_name, now) => {
    await mirror();
    expect(tell(await scanMirrored(policyOf(), { now: new Date(now) }))).toEqual(errorOf("data-outdated"));
  });

  test("rolled back to what was there before an earlier scan of the image", async () => {
    await mirror({ now: new Date("2026-11-02T05:00:00Z") });
    const { digest } = await client.fetchManifest({ ...repository(), tag: "grype" });
    await publishGrypeDatabase(publisher, exampleDatabase, { built: "2026-11-02T00:00:00Z" });
    await mirror();
    const { reference, descriptor: target } = await pushImage([
      { "etc/os-release": debianRelease, "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended) },
    ]);
    const run = { policy: policyOf(), now: soonAfter, inputs: { database: "" } };
    const first = await scan(reference, run);
    expect(tell(first).verdict).toBe("pass");
    const old = await client.fetchManifest({ ...repository(), digest });
    await client.pushManifest(repository(), old.bytes, old.mediaType, "grype");
    // Nobody has signed yet that newer data was there.
    expect(tell(await scan(reference, run)).verdict).toBe("pass");
    const shop = { registry: registry.host, name: "quarantine/shop" };
    const { predicate = {} } = first.result;
    const found = {
      ...predicate,
      scanner: {
        ...(predicate["scanner"] as object),
        db: { uri: "oci://x", version: "", lastUpdate: "2026-11-02T00:00:00Z" },
      },
    };
    await attachStatement(
      client,
      { repository: shop, image: target, children: [] },
      buildStatement(buildSubjects(shop, [target.digest]), predicateTypes.vulnerabilities, found),
      keys.scan.signer,
      soonAfter,
    );
    const outcome = await scan(reference, run);
    expect(tell(outcome)).toEqual(errorOf("data-rolled-back"));
  });
});

describe("a scan by mirrored data", () => {
  test("finds what it has in two requests, names it, and looks at no home", async () => {
    const [mirrored] = await mirror();
    registry.requests.length = 0;
    const env = { GRYPE_DB_CACHE_DIR: "/nonexistent", GRYPE_DB_UPDATE_URL: "http://127.0.0.1:9/" };
    const outcome = await scanMirrored(policyOf(), { env });
    expect(tell(outcome)).toEqual(refused);
    const asked = registry.requests.filter(({ path }) => path.includes(repository().name));
    expect(asked.map(({ method, path }) => `${method} ${path.split("/").at(-2)}`)).toEqual([
      "GET manifests",
      "GET blobs",
    ]);
    const { scanner } = outcome.result.predicate as { scanner: { db: object } };
    expect(scanner.db).toMatchObject({
      uri: `oci://${mirrored?.reference}`,
      lastUpdate: new Date(built).toISOString(),
    });
  });

  test("asks several scanners, each by its own", async () => {
    const osv = await mkdtemp(join(root, "osv-"));
    const entries = [
      { id: "DEBIAN-CVE-2023-4911", ecosystem: "Debian:12", package: "glibc", upstream: ["CVE-2023-4911"] },
      { id: "DEBIAN-CVE-2099-1", ecosystem: "Debian:12", package: "glibc" },
    ];
    await writeOsvData(osv, entries, new Date(built));
    await publishOsvData(publisher, osv, ["Debian"]);
    const policy = policyOf({ scanners: "grype, osv-scanner" });
    const mirrored = await mirror({ policy, inputs: { ecosystems: "Debian" } });
    const outcome = await scanMirrored(policy);
    expect(tell(outcome).found).toEqual([...refused.found, "scan.severity: DEBIAN-CVE-2099-1 in libc6 2.36-9+deb12u1"]);
    const others = JSON.stringify(outcome.result.predicate);
    for (const { reference } of mirrored) expect(others).toContain(reference);
  });

  test("bytes that the registry has changed are no database", async () => {
    await mirror();
    const { manifest } = await client.fetchManifest({ ...repository(), tag: "grype" });
    const [, file] = (manifest as ImageManifest).layers;
    registry.faults.push({
      method: "GET",
      path: `${repository().name}/blobs/${file?.digest}`,
      action: { kind: "corrupt" },
    });
    const outcome = await scanMirrored();
    registry.faults.length = 0;
    expect(tell(outcome)).toEqual(errorOf("digest-mismatch"));
  });
});

describe("CISA's list, mirrored beside the data", () => {
  const policy = () => {
    const own = policyOf({ scanners: "osv-scanner", failOn: "critical", more: ", kev: true" });
    return { ...own, scan: `${own.scan}, refuse: [{ name: exploited, kev: true, missing: pass }]` };
  };
  const publish = (...cves: string[]): void => {
    const vulnerabilities = cves.map((cveID) => ({ cveID }));
    const dateReleased = "2026-10-30T15:00:00.000Z";
    const text = { catalogVersion: "2026.10.30", dateReleased, count: cves.length, vulnerabilities };
    publisher.files.set("/kev.json", Buffer.from(JSON.stringify(text)));
  };
  const withOsv = async (): Promise<void> => {
    const osv = await mkdtemp(join(root, "osv-"));
    const libc = { ecosystem: "Debian:12", package: "glibc", upstream: ["CVE-2023-4911"] };
    await writeOsvData(osv, [{ id: "DEBIAN-CVE-2023-4911", ...libc }], new Date(built));
    await publishOsvData(publisher, osv, ["Debian"]);
  };

  test("has what another scanner than grype finds refused as known to be exploited, and its twin let pass", async () => {
    await withOsv();
    publish("CVE-2023-4911");
    const mirrored = await mirror({ policy: policy(), inputs: { ecosystems: "Debian" } });
    expect(mirrored.map(({ scanner }) => scanner)).toEqual(["osv-scanner", "kev"]);
    const outcome = await scanMirrored(policy());
    expect(tell(outcome)).toEqual({
      verdict: "fail",
      found: [expect.stringMatching(/^scan.gate: (?:DEBIAN-)?CVE-2023-4911 in libc6/)],
    });
    expect(outcome.result.violations[0]?.problem).toContain("It is known to be exploited.");
    expect(JSON.stringify(outcome.result.predicate)).toContain(`"exploited":{"uri":"oci://${place}@sha256:`);
    publish("CVE-2021-44228");
    await mirror({ policy: policy(), inputs: { scanners: "kev" } });
    expect(tell(await scanMirrored(policy()))).toEqual({ verdict: "pass", found: [] });
  });

  test("that is not there is an error, and one that is cut short is not mirrored", async () => {
    await withOsv();
    const inputs = { scanners: "osv-scanner", ecosystems: "Debian" };
    await mirror({ policy: policy(), inputs });
    expect(tell(await scanMirrored(policy()))).toEqual(errorOf("image-not-found"));
    publisher.files.set("/kev.json", Buffer.from('{"catalogVersion":"1","count":2,"vulnerabilities":[]}'));
    await expect(mirror({ policy: policy(), inputs: { scanners: "kev" } })).rejects.toMatchObject({
      code: "data-unavailable",
    });
  });
});

describe("goldenpath data mirror", () => {
  test("a key that the policy does not name pushes nothing", async () => {
    await expect(mirror({ key: stranger })).rejects.toMatchObject({ code: "signer-unknown" });
    await expect(client.listTags(repository())).resolves.toEqual([]);
  });

  test("a policy without scan.data, a scanner that there is not, a source that anybody could answer for", async () => {
    await expect(mirror({ policy: { signers: { data: data.publicKeyPem } } })).rejects.toMatchObject({
      code: "input-invalid",
    });
    for (const [name, value] of [
      ["scanners", "trove"],
      ["sources", "grype=http://mirror.example/"],
    ] as const) {
      const inputs = { [name]: value };
      await expect(mirror({ inputs })).rejects.toMatchObject({ code: "input-invalid" });
    }
    const osv = { scanners: "osv-scanner" };
    await expect(mirror({ inputs: osv })).rejects.toMatchObject({ code: "input-invalid" });
    await expect(mirror({ inputs: { ...osv, ecosystems: "../npm" } })).rejects.toMatchObject({ code: "input-invalid" });
  });

  test("what is not the file that the publisher's list names is not mirrored", async () => {
    await publishGrypeDatabase(publisher, exampleDatabase, { built, checksum: `sha256:${"0".repeat(64)}` });
    await expect(mirror()).rejects.toMatchObject({ code: "data-unavailable" });
    publisher.files.delete("/databases/v6/latest.json");
    await expect(mirror()).rejects.toMatchObject({ code: "data-unavailable" });
    publisher.files.set("/databases/v6/latest.json", Buffer.from('{"schemaVersion":"v5.0.0"}'));
    await expect(mirror()).rejects.toMatchObject({ code: "data-unavailable" });
  });

  test("older data never takes the place of newer, and the same is signed again", async () => {
    const [first] = await mirror();
    const [second] = await mirror({ now: new Date("2026-11-03T06:00:00Z") });
    expect(second).toMatchObject({ isSameData: true, tag: "grype-20261103T060000Z" });
    expect(second?.reference).not.toBe(first?.reference);
    await publishGrypeDatabase(publisher, exampleDatabase, { built: "2026-10-31T00:00:00Z" });
    await expect(mirror({ now: new Date("2026-11-04T06:00:00Z") })).rejects.toMatchObject({ code: "data-older" });
    // What was signed again holds for two days from then.
    expect(tell(await scanMirrored(policyOf(), { now: new Date("2026-11-05T05:00:00Z") }))).toEqual(refused);
  });

  test("what nobody of the policy has signed is written over", async () => {
    await client.pushBlob(repository(), { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: 2 }, () =>
      Buffer.from("{}"),
    );
    await mirror();
    await replace((manifest) => {
      manifest.artifactType = "application/vnd.acme";
    });
    await mirror({ now: soonAfter });
    expect(tell(await scanMirrored())).toEqual(refused);
  });

  test("keeps as many as it is told, the newest", async () => {
    for (const day of ["03", "04", "05"])
      await mirror({ now: new Date(`2026-11-${day}T06:00:00Z`), inputs: { keep: "2" } });
    expect((await client.listTags(repository())).toSorted()).toEqual([
      "grype",
      "grype-20261104T060000Z",
      "grype-20261105T060000Z",
    ]);
  });
});
