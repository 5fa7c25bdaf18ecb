import { cp, mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { writeLayout } from "@goldenpath/core/layouts/write-layout";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { executeVerb } from "@goldenpath/core/verbs/execute";
import { createReportVerb } from "@goldenpath/core/verbs/report";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { silentPorts } from "@goldenpath/foundation/ports";
import { parseDigest } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { renderStageSigners } from "@goldenpath/testing/signers";
import { beforeAll, describe, expect, test } from "vitest";
import {
  client,
  debianRelease,
  dpkgStanza,
  keys,
  libcVersions,
  pushImage,
  registry,
  root,
  scan,
  syftPath,
  tell,
  useScanWorld,
} from "../support/scan-world.ts";

// An image that is in no registry, judged as if it were: by the real syft and grype, and by its layers.
useScanWorld();

let image = "";
let digest = "";
let layout = "";
beforeAll(async () => {
  const pushed = await pushImage([
    {
      "etc/os-release": debianRelease,
      "var/lib/dpkg/status.d/libc6": dpkgStanza("libc6", libcVersions.vulnerable, "glibc"),
    },
    { "workspace/node_modules/lodash/package.json": JSON.stringify({ name: "lodash", version: "4.17.20" }) },
  ]);
  image = pushed.reference;
  digest = pushed.descriptor.digest;
  layout = join(await mkdtemp(join(root, "layouts-")), "shop");
  const reference = { ...parseReference(image), digest: parseDigest(digest) };
  await writeLayout(client, reference, layout, { tags: ["1"], signal: new AbortController().signal });
});

async function run(verb: Verb<never>, given: string): Promise<VerbOutcome> {
  const directory = await mkdtemp(join(root, "run-"));
  await writeFile(
    join(directory, "policy.yaml"),
    `version: 1
name: acme
serial: 7
signers:
${renderStageSigners(keys)}bases:
  - { name: golden, image: ${registry.host}/bases/golden, digests: [${base}] }
build:
  strategies: [buildpacks]
  isolation: [container]
  sources: ["https://github.com/acme/*"]
  builders: [{ name: node, buildpacks: [${registry.host}/buildpacks/node@${digest}], runImage: golden }]
environments:
  production:
    from: [${registry.host}/quarantine]
    to: [${registry.host}/vetted]
    requires: [{ stage: build, signers: [build] }]
    promoter: promote
`,
  );
  const { outcome } = await executeVerb(
    verb,
    { policy: "policy.yaml", image: given },
    {
      ports: silentPorts(),
      run: { builderId: "local" },
      workingDirectory: directory,
      temporaryRoot: join(directory, "tmp"),
      defaultResultDirectory: join(directory, "results"),
      env: { ...process.env, PATH: [dirname(syftPath()), process.env["PATH"]].join(delimiter), HOME: root },
      signal: new AbortController().signal,
    },
  );
  // What went wrong on the way is what a failure should show.
  if (outcome.result.error !== undefined) throw new Error(outcome.result.error.message);
  return outcome;
}

let base = "";
beforeAll(async () => {
  base = (await pushImage([{ "etc/hostname": "golden" }], { name: "bases/golden" })).descriptor.digest;
});
const nameless = (found: string[]): string[] => found.map((each) => each.replace(/\S+@sha256/, "IMAGE@sha256"));

describe("what is not the image that is meant is an error", () => {
  test("another digest", async () => {
    const outcome = await scan(`oci-layout:${layout}@sha256:${"0".repeat(64)}`);
    expect(tell(outcome)).toMatchObject({ verdict: "error", error: "image-not-found" });
  });

  test.each(["oci-layout:", "oci-layout:x@sha256:12"])("'%s'", async (text) => {
    expect(tell(await scan(text))).toMatchObject({ verdict: "error", error: "reference-invalid" });
  });

  test("nothing there", async () => {
    expect(tell(await scan(`oci-layout:${layout}-not`))).toMatchObject({
      verdict: "error",
      error: "built-image-invalid",
    });
  });

  test("a layer that is another than its digest says", async () => {
    const changed = join(await mkdtemp(join(root, "changed-")), "shop");
    await cp(layout, changed, { recursive: true });
    const blobs = join(changed, "blobs/sha256");
    for (const name of await readdir(blobs)) {
      const bytes = await readFile(join(blobs, name));
      if (bytes[0] === 0x1f)
        await writeFile(
          join(blobs, name),
          Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1) === 0 ? 1 : 0])]),
        );
    }
    const outcome = await scan(`oci-layout:${changed}@${digest}`);
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.code).toBe("digest-mismatch");
  });
});

describe("an image on the disk is judged as the one in the registry", () => {
  test("by the scan, and nothing is written to any registry", async () => {
    const before = registry.requests.filter(({ method }) => method !== "GET" && method !== "HEAD").length;
    const pushed = tell(await scan(image));
    const onDisk = await scan(`oci-layout:${layout}@${digest}`);
    expect(nameless(tell(onDisk).found)).toEqual(nameless(pushed.found));
    expect(tell(onDisk).verdict).toBe("fail");
    expect(onDisk.result.subject).toMatchObject({ repository: "oci-layout.invalid/shop", digest });
    expect(registry.requests.filter(({ method }) => method !== "GET" && method !== "HEAD")).toHaveLength(before);
  });

  test("by its base", async () => {
    const [pushed, onDisk] = [
      await run(enforceVerb as unknown as Verb<never>, image),
      await run(enforceVerb as unknown as Verb<never>, `oci-layout:${layout}`),
    ];
    expect(onDisk.verdict).toBe("fail");
    expect(nameless(tell(onDisk).found)).toEqual(nameless(tell(pushed).found));
  });

  test("the report says that nothing is signed about it", async () => {
    const outcome = await run(createReportVerb() as unknown as Verb<never>, `oci-layout:${layout}`);
    expect(outcome.result.violations.map(({ rule }) => rule)).toContain("report.missing");
  });
});
