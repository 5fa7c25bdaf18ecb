import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type RegistryOptions, startRegistry } from "@goldenpath/registry-server/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { useTools } from "../support/tools.ts";

const run = promisify(execFile);
const tools = useTools("oci-conformance");

/**
 * Everything that the suite can ask of a registry by distribution-spec 1.1, what it leaves out by default included:
 * pull, push, content discovery (tags and referrers), content management (deletion), mounts from the second repository.
 * Two things stay off: `tagParam`, which 1.1 does not have, and `sparse`, which asks for manifests to be accepted whose
 * blobs are not there: 1.1 lets a registry refuse them, and this one does.
 */
const settings = {
  OCI_VERSION: "1.1",
  OCI_TLS: "disabled",
  OCI_REPO1: "conformance/first",
  OCI_REPO2: "conformance/second",
  OCI_API_PULL: "true",
  OCI_API_PUSH: "true",
  OCI_API_BLOBS_ATOMIC: "true",
  OCI_API_BLOBS_DELETE: "true",
  OCI_API_BLOBS_DIGEST_HEADER: "true",
  OCI_API_BLOBS_MOUNT_ANONYMOUS: "true",
  OCI_API_BLOBS_UPLOAD_CANCEL: "true",
  OCI_API_MANIFESTS_ATOMIC: "true",
  OCI_API_MANIFESTS_DELETE: "true",
  OCI_API_MANIFESTS_DIGEST_HEADER: "true",
  OCI_API_TAGS_ATOMIC: "true",
  OCI_API_TAGS_DELETE: "true",
  OCI_API_TAGS_LIST: "true",
  OCI_API_REFERRER: "true",
};

/**
 * What the suite itself passes over, and why it does not apply. Anything else that it passes over is a failure of this
 * test.
 */
const notApplicable: Readonly<Record<string, string>> = {
  // "If a registry … does not support automatic content discovery", it answers a mount that names no source with 202: a
  // mount out of any repository would give whoever knows a digest what that digest's repository may keep from them.
  "sha256 blobs/mount anonymous/blob-mount-anonymous": "registry returned status 202, fell back to blob POST+PUT",
  "sha512 blobs/mount anonymous/blob-mount-anonymous": "registry returned status 202, fell back to blob POST+PUT",
  // A range whose end is before its start is invalid and is to be ignored, by RFC 9110 section 14.1.1: the whole blob
  // is the right answer.
  "sha256 blobs/range requests/range 500-0": "range request unsupported, full blob returned",
  "sha512 blobs/range requests/range 500-0": "range request unsupported, full blob returned",
};

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-conformance-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/**
 * The suite takes its tokens from the challenges, which name the repository that is written to: for a mount it never
 * asks for the right to read the other one. What it would do with a blob that was mounted, two tests each, it then does
 * not have.
 */
const notApplicableWithTokens: Readonly<Record<string, string>> = {
  "sha256 blobs/mount/blob-mount": "registry returned status 202, fell back to blob POST+PUT",
  "sha512 blobs/mount/blob-mount": "registry returned status 202, fell back to blob POST+PUT",
};

interface Variant {
  what: string;
  options: (folder: string) => RegistryOptions;
  passedOver: Readonly<Record<string, string>>;
  /**
   * How many tests the suite has at the version that is locked, with these settings: fewer would mean that something is
   * off.
   */
  tests: number;
}

const joe = { users: { joe: "secret" } };
const variants: readonly Variant[] = [
  { what: "in memory", options: () => ({}), passedOver: notApplicable, tests: 691 },
  {
    what: "in a folder",
    options: (folder) => ({ directory: join(folder, "contents") }),
    passedOver: notApplicable,
    tests: 691,
  },
  { what: "with a login", options: () => ({ auth: { kind: "basic", ...joe } }), passedOver: notApplicable, tests: 691 },
  {
    what: "with tokens",
    options: () => ({ auth: { kind: "bearer", ...joe } }),
    passedOver: { ...notApplicable, ...notApplicableWithTokens },
    tests: 687,
  },
];

test.each(variants)(
  "the embedded registry $what passes every test of the suite that applies",
  async ({ options, passedOver, tests }) => {
    const server = await startRegistry(options(directory));
    try {
      const env = {
        ...settings,
        OCI_REGISTRY: server.host,
        OCI_RESULTS_DIR: directory,
        OCI_USERNAME: "joe",
        OCI_PASSWORD: "secret",
      };
      const ended = await run(tools["oci-conformance"], [], { cwd: directory, env, maxBuffer: 2 ** 26 }).then(
        () => ({ code: 0, stderr: "" }),
        (error: { code: number; stderr: string }) => ({ code: error.code, stderr: error.stderr }),
      );
      const cases = parseCases(await readFile(join(directory, "junit.xml"), "utf8"));
      const named = (status: string): string[] =>
        cases.filter((each) => each.status === status).map(({ name }) => name);
      expect(named("failure")).toEqual([]);
      expect(named("error")).toEqual([]);
      const skipped = cases.filter(({ status }) => status === "skipped");
      expect(Object.fromEntries(skipped.map(({ name, said }) => [name, said]))).toEqual(passedOver);
      expect(skipped).toHaveLength(Object.keys(passedOver).length);
      expect(named("passed")).toHaveLength(cases.length - skipped.length);
      expect(cases).toHaveLength(tests);
      expect(ended).toEqual({ code: 0, stderr: "" });
    } finally {
      await server.close();
    }
  },
);

interface Case {
  /** Without the suite's own name in front. */
  name: string;
  status: string;
  /** Why it was passed over or failed. */
  said: string;
}

/** The leaves of the suite's JUnit report. */
function parseCases(xml: string): Case[] {
  const cases = [
    ...xml.matchAll(/<testcase name="OCI Conformance Test\/([^"]*)"[^>]* status="([^"]*)">([\s\S]*?)<\/testcase>/g),
  ];
  // None may escape the pattern: what is not seen here would count as passed.
  expect(cases).toHaveLength(xml.split("<testcase").length - 1);
  return cases.map(([, name = "", status = "", inside = ""]) => ({
    name,
    status,
    said: /<system-out>([\s\S]*?)<\/system-out>/.exec(inside)?.[1] ?? "",
  }));
}
