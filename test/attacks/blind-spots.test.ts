import { describe, expect, test } from "vitest";
import { debianRelease, dpkgStanza, libcVersions, pushImage, scan, tell, useScanWorld } from "../support/scan-world.ts";

// A scan that finds nothing because it sees nothing: each way of blinding it beside the same image with its eyes open.
// Alpine's database is made by hand here, in the form of apk's own.
useScanWorld();

const libc = { "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.mended, "glibc") };
const debian = { "etc/os-release": debianRelease, ...libc };
const alpineRelease = 'ID=alpine\nVERSION_ID="3.20.3"\nPRETTY_NAME="Alpine Linux v3.20"\n';
const apk = {
  "lib/apk/db/installed":
    "C:Q1aaaaaaaaaaaaaaaaaaaaaaaaaaa=\nP:musl\nV:1.2.5-r0\nA:x86_64\nS:1\nI:1\nT:the musl c library\nL:MIT\n\n",
};
const lodash = { "srv/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.21" }) };

type Files = Record<string, string>;
const refused: [string, Files[], string[]][] = [
  ["nothing but text", [{ "srv/readme.txt": "hello" }], ["no-packages"]],
  [
    "an operating system without its package database",
    [{ "etc/os-release": debianRelease }],
    ["system-without-packages"],
  ],
  [
    "the same with a dependency of the application, so that the SBOM is not empty",
    [{ "etc/os-release": debianRelease }, lodash],
    ["system-without-packages"],
  ],
  [
    "a database that an upper layer took away",
    [debian, { "var/lib/dpkg/.wh.status.d": "" }],
    ["system-without-packages"],
  ],
  ["packages of a system that does not say its name", [libc], ["unknown-distribution"]],
  [
    "a distribution that the data does not know",
    [{ ...libc, "etc/os-release": 'ID=madeup\nVERSION_ID="1"\n' }],
    ["unknown-distribution"],
  ],
  [
    "a version that the data does not know",
    [{ ...libc, "etc/os-release": 'ID=debian\nVERSION_ID="99"\n' }],
    ["unknown-distribution"],
  ],
  ["a version that is not said", [{ ...libc, "etc/os-release": "ID=debian\n" }], ["unknown-distribution"]],
  [
    "a name that is an option of the scanner",
    [{ ...libc, "etc/os-release": 'ID="debian:12"\nVERSION_ID="--limit"\n' }],
    ["unknown-distribution"],
  ],
  [
    "Alpine, which the data of the examples does not have",
    [{ ...apk, "etc/os-release": alpineRelease }],
    ["unknown-distribution"],
  ],
  ["Alpine's packages under Debian's name", [{ ...apk, "etc/os-release": debianRelease }], ["unknown-distribution"]],
  [
    "Debian's name laid over Alpine",
    [{ ...apk, "etc/os-release": alpineRelease }, { "etc/os-release": debianRelease }],
    ["unknown-distribution"],
  ],
  ["two package databases", [debian, apk], ["several-package-databases"]],
];

describe("that nothing can be seen is a violation", () => {
  test.each(refused)("%s", async (_name, layers, kinds) => {
    const { reference } = await pushImage(layers);
    const outcome = await scan(reference);
    expect(tell(outcome)).toEqual({
      verdict: "fail",
      found: kinds.map((kind) => `scan.blind-spot: ${reference}: ${kind}`),
    });
    expect(outcome.result.subject?.children).toMatchObject([{ verdict: "fail" }]);
    for (const { wayOut } of outcome.result.violations) expect(wayOut).toMatch(/scan\.allowBlindSpots\.$/);
    expect(outcome.summary).toContain("scan.blind-spot");
  });

  // One of each kind.
  const kindly = [...new Map(refused.map((row) => [row[2].join(), row])).values()];
  test.each(kindly)("%s: let pass where the policy allows it, and said", async (_name, layers, kinds) => {
    const { reference } = await pushImage(layers);
    const rules = `failOn: high, databaseMaxAge: unlimited, allowBlindSpots: [${kinds.join(", ")}]`;
    const outcome = await scan(reference, { policy: { scan: rules } });
    expect(tell(outcome)).toEqual({ verdict: "pass", found: [] });
    expect(outcome.result.notes).toEqual(
      kinds.map((kind) => expect.stringContaining(`${kind}, which the policy allows`)),
    );
  });

  test("a blind spot that the policy allows opens no other one", async () => {
    const { reference } = await pushImage([libc]);
    const rules = "failOn: high, databaseMaxAge: unlimited, allowBlindSpots: [no-packages, system-without-packages]";
    expect(tell(await scan(reference, { policy: { scan: rules } })).verdict).toBe("fail");
  });
});

test.each([
  [
    "Debian with dpkg's one database",
    [{ "etc/os-release": debianRelease, "var/lib/dpkg/status": dpkgStanza("libc6", libcVersions.mended, "glibc") }],
  ],
  ["Debian as distroless has it", [debian]],
  ["the same with an application", [debian, lodash]],
  ["os-release where systemd's rules put it", [{ ...libc, "usr/lib/os-release": debianRelease }]],
  ["no operating system, and an application's packages", [lodash]],
  ["a database of packages that are all gone beside Debian's", [debian, { "lib/apk/db/installed": "" }]],
])("what can be seen passes: %s", async (_name, layers) => {
  const { reference } = await pushImage(layers as Files[]);
  const outcome = await scan(reference);
  expect(tell(outcome)).toEqual({ verdict: "pass", found: [] });
  expect(outcome.result.notes).toEqual([]);
});
