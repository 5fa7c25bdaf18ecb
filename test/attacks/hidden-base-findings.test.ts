import { readFile } from "node:fs/promises";
import type { Sbom } from "@goldenpath/core/scan/catalog";
import { attachStatement } from "@goldenpath/core/signing/attach";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { buildStatement, buildSubjects } from "@goldenpath/core/signing/statement";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { beforeAll, describe, expect, test } from "vitest";
import {
  attest,
  client,
  debianRelease,
  dpkgStanza,
  libcVersions,
  pushImage,
  registry,
  scan,
  tell,
  useScanWorld,
} from "../support/scan-world.ts";

// A base with a known vulnerability, and what layers above it can do so that the image as a whole does not show it.
useScanWorld();

const { vulnerable, mended } = libcVersions;
const program = "usr/lib/x86_64-linux-gnu/libc.so.6";
const owned = `/.\n/usr/lib/x86_64-linux-gnu\n/${program}\n/usr/share/doc/libc6/changelog.gz\n`;
const status = (version: string): string => dpkgStanza("libc6", version, "glibc");
const baseFiles = {
  "etc/os-release": debianRelease,
  "var/lib/dpkg/status": status(vulnerable),
  "var/lib/dpkg/info/libc6:amd64.list": owned,
  [program]: "the vulnerable library",
  "usr/share/doc/libc6/changelog.gz": "old",
};
const finding = `scan.severity: CVE-2023-4911 in libc6 ${vulnerable}`;

let bases: string[] = [];
beforeAll(async () => {
  const { descriptor } = await pushImage([baseFiles], { name: "bases/golden" });
  bases = [descriptor.digest];
});

type Files = Record<string, string>;
const hiding: [string, Files, RegExp][] = [
  [
    "a newer version in the database alone",
    { "var/lib/dpkg/status": status(mended) },
    /says 2\.36-9\+deb12u13, and its files are those of the base's/,
  ],
  [
    "the same with another changelog",
    { "var/lib/dpkg/status": status(mended), "usr/share/doc/libc6/changelog.gz": "new" },
    /its files are those of the base's/,
  ],
  [
    "no package in the database any more",
    { "var/lib/dpkg/status": dpkgStanza("zlib1g", "1:1.2.13.dfsg-1") },
    /has it no more, and one of its/,
  ],
  [
    "the database taken away",
    { "var/lib/dpkg/.wh.status": "", "var/lib/dpkg/status.d/zlib1g": dpkgStanza("zlib1g", "1:1.2.13.dfsg-1") },
    /has it no more/,
  ],
  [
    "another system's name",
    { "etc/os-release": 'ID=debian\nVERSION_ID="13"\n' },
    /the same version, and another system/,
  ],
  [
    "a file list that leaves the library out",
    { "var/lib/dpkg/status": status(mended), "var/lib/dpkg/info/libc6:amd64.list": "/.\n" },
    /its files are those/,
  ],
];

describe("a finding of the base counts although the image does not show it", () => {
  test.each(hiding)("%s", async (_name, layer, why) => {
    const { reference } = await pushImage([baseFiles, layer]);
    const outcome = await scan(reference, { policy: { bases } });
    const { verdict, found } = tell(outcome);
    expect(verdict).toBe("fail");
    expect(found).toContain(finding);
    const violation = outcome.result.violations.find(({ thing }) => thing.includes("CVE-2023-4911"));
    expect(violation?.problem).toMatch(why);
    expect(violation?.wayOut).toMatch(
      /It comes with the base image golden, and this is its newest version: whoever keeps the base/,
    );
    const sarif = await readFile(outcome.outputs["sarif"] ?? "", "utf8");
    expect(sarif).toContain("CVE-2023-4911");
    expect(JSON.stringify(outcome.result.predicate)).toContain("CVE-2023-4911");
  });

  test("with an SBOM that the build stage signed, in which it is not to be seen", async () => {
    const { reference } = await pushImage([baseFiles, { "var/lib/dpkg/status": status(mended) }]);
    expect(tell(await attest(reference, { policy: { bases } })).verdict).toBe("pass");
    expect(tell(await scan(reference, { policy: { bases } }))).toEqual({ verdict: "fail", found: [finding] });
  });

  test("the twin with nothing laid over it shows it as it is", async () => {
    const { reference } = await pushImage([baseFiles, { "srv/app.txt": "an application" }]);
    const outcome = await scan(reference, { policy: { bases } });
    expect(tell(outcome)).toEqual({ verdict: "fail", found: [finding] });
    expect(outcome.result.violations[0]?.problem).not.toContain("does not show it");
  });
});

test("what a team forbids is no base that findings could come from: a gate of the application's asks for them", async () => {
  const { reference } = await pushImage([baseFiles, { "srv/app.txt": "an application" }]);
  const own = {
    scan: "failOn: critical, databaseMaxAge: unlimited, refuse: [{ name: own, severity: high, origins: [application] }]",
  };
  const image = `${registry.host}/bases/golden`;
  const more = `forbiddenBases:\n  - { name: bad, image: ${image}, digests: [${bases.join(", ")}] }\n`;
  const refused = { verdict: "fail", found: [finding.replace("severity", "gate")] };
  expect(tell(await scan(reference, { policy: own }))).toEqual(refused);
  const outcome = await scan(reference, { policy: { ...own, more } });
  expect(tell(outcome)).toEqual(refused);
  expect(outcome.result.violations[0]?.wayOut).not.toMatch(/newest version|base/);
  expect(tell(await scan(reference, { policy: { ...own, bases } }))).toEqual({ verdict: "pass", found: [] });
});

describe("an update of the base's package closes its findings", () => {
  const update = {
    "var/lib/dpkg/status": status(mended),
    [program]: "the mended library",
    "usr/share/doc/libc6/changelog.gz": "new",
  };

  test("where its library changed too, and is said to be the image's own word", async () => {
    const { reference } = await pushImage([baseFiles, update]);
    const outcome = await scan(reference, { policy: { bases } });
    expect(tell(outcome)).toEqual({ verdict: "pass", found: [] });
    expect(outcome.result.notes).toEqual([
      `by the image's own word the base's libc6 ${vulnerable}: the image's package database says ${mended}, and one of its programs and libraries is not the base's any more, which closes CVE-2023-4911, CVE-2010-4756`,
    ]);
    expect(outcome.summary).toContain("by the image's own word");
  });

  test("and does not where the policy takes no such word", async () => {
    const { reference } = await pushImage([baseFiles, update]);
    const outcome = await scan(reference, {
      policy: { bases, scan: "failOn: high, databaseMaxAge: unlimited, ownWord: refuse" },
    });
    expect(tell(outcome)).toEqual({ verdict: "fail", found: [finding] });
  });

  test("a package that is gone with its files is closed as well", async () => {
    const gone = {
      "var/lib/dpkg/status": dpkgStanza("zlib1g", "1:1.2.13.dfsg-1"),
      "usr/lib/x86_64-linux-gnu/.wh.libc.so.6": "",
    };
    const { reference } = await pushImage([baseFiles, gone]);
    expect(tell(await scan(reference, { policy: { bases } }))).toEqual({ verdict: "pass", found: [] });
  });

  test("a base without the vulnerability has nothing to hide", async () => {
    const clean = { ...baseFiles, "var/lib/dpkg/status": status(mended) };
    const { descriptor } = await pushImage([clean], { name: "bases/golden" });
    const { reference } = await pushImage([clean, { "srv/app.txt": "an application" }]);
    expect(tell(await scan(reference, { policy: { bases: [descriptor.digest] } }))).toEqual({
      verdict: "pass",
      found: [],
    });
  });
});

describe("the SBOM that a base's approvers signed", () => {
  let keys: Record<"approver" | "other", StageKey>;
  let base: Descriptor;
  let reference = "";
  let sbom: Sbom;
  beforeAll(async () => {
    keys = { approver: await makeKey(), other: await makeKey() };
    const pushed = await pushImage([{ ...baseFiles, "srv/approved": "1" }], { name: "bases/golden" });
    base = pushed.descriptor;
    sbom = JSON.parse(await readFile((await scan(pushed.reference)).outputs["sbom"] ?? "", "utf8"));
    const image = await pushImage([
      { ...baseFiles, "srv/approved": "1" },
      { "var/lib/dpkg/status": status(mended), "srv/on": "1" },
    ]);
    reference = image.reference;
    await attest(reference);
  });

  async function sign(document: Sbom, by: StageKey): Promise<void> {
    const repository = { registry: registry.host, name: "bases/golden" };
    const statement = buildStatement(buildSubjects(repository, [base.digest]), predicateTypes.cyclonedx, document);
    await attachStatement(client, { repository, image: base, children: [] }, statement, by.signer, new Date());
  }

  const withoutLibc = (): Sbom => ({
    ...sbom,
    components: (sbom["components"] as { name: string }[]).filter(({ name }) => name !== "libc6"),
  });

  async function rescan() {
    registry.requests.length = 0;
    const outcome = await scan(reference, {
      policy: {
        ...{ bases: [base.digest], approvers: ["approver"] },
        signers: { approver: keys.approver.publicKeyPem, other: keys.other.publicKeyPem },
      },
    });
    const manifest = await client.fetchManifest({ registry: registry.host, name: "bases/golden", digest: base.digest });
    const layers = manifest.kind === "image" ? manifest.manifest.layers.map(({ digest }) => digest) : [];
    const pulled = registry.requests.filter(
      ({ method, path }) => method === "GET" && layers.some((digest) => path === `/v2/bases/golden/blobs/${digest}`),
    ).length;
    return { ...tell(outcome), pulled, notes: outcome.result.notes };
  }

  // In this order: what is signed stays there.
  test.each<[what: string, put: () => Promise<void>]>([
    ["where there is none", async () => undefined],
    ["by another signer of the policy", () => sign(withoutLibc(), keys.other)],
    [
      "of another image",
      () =>
        sign(
          { ...withoutLibc(), metadata: { ...(sbom["metadata"] as object), component: { version: "other" } } },
          keys.approver,
        ),
    ],
  ])("%s is not taken: the layers are", async (_what, put) => {
    await put();
    expect(await rescan()).toMatchObject({ verdict: "fail", found: [finding], pulled: 1 });
  });

  test("is taken, and no layer is pulled but of the image that hides what it lists", async () => {
    await sign(sbom, keys.approver);
    const { notes, ...told } = await rescan();
    expect(told).toEqual({ verdict: "fail", found: [finding], pulled: 0 });
    expect(notes).toContainEqual(
      expect.stringMatching(/^the SBOM of base 'golden' is that of its approver approver \(bundle sha256:/),
    );
  });
});

describe("the SBOM that the build stage signed", () => {
  const files = {
    ...baseFiles,
    "var/lib/dpkg/status": status(mended),
    "srv/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.21" }),
  };
  const layersPulled = (reference: string): number =>
    registry.requests.filter(
      ({ method, path }) =>
        method === "GET" && path.includes(`${reference.split("@")[0]?.split("/").slice(1).join("/")}/blobs/`),
    ).length;

  test("is taken, and no layer of the image is pulled", async () => {
    const { reference } = await pushImage([files], { name: "quarantine/signed" });
    await attest(reference);
    registry.requests.length = 0;
    const outcome = await scan(reference);
    expect(tell(outcome)).toEqual({ verdict: "pass", found: [] });
    expect(outcome.result.notes).toEqual([
      expect.stringMatching(
        /^the SBOM of linux\/amd64 is the build stage's, signed by build \(bundle sha256:[0-9a-f]{64}\)$/,
      ),
    ]);
    expect(outcome.result.tools.map(({ name }) => name)).toEqual(["grype"]);
    // The config and the bundles of the evidence.
    const withEvidence = layersPulled(reference);
    registry.requests.length = 0;
    const { reference: other } = await pushImage([files], { name: "quarantine/unsigned" });
    registry.requests.length = 0;
    expect((await scan(other)).result.tools.map(({ name }) => name)).toEqual(["syft", "grype"]);
    expect(withEvidence).toBeLessThanOrEqual(3);
  });

  test("is not taken from a signer whose word does not count for a build everywhere", async () => {
    const { reference } = await pushImage([files], { name: "quarantine/lesser" });
    await attest(reference, { signer: "scan" });
    const outcome = await scan(reference);
    expect(outcome.result.tools.map(({ name }) => name)).toEqual(["syft", "grype"]);
    const lesser = await scan(reference, { policy: { buildSigners: [["build", "scan"], ["build"]] } });
    expect(lesser.result.tools.map(({ name }) => name)).toEqual(["syft", "grype"]);
    const everywhere = await scan(reference, { policy: { buildSigners: [["build", "scan"], ["scan"]] } });
    expect(everywhere.result.tools.map(({ name }) => name)).toEqual(["grype"]);
  });
});
