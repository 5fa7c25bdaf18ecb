import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { rebaseImage } from "@goldenpath/core/base/rebase/execute";
import { loadPolicy } from "@goldenpath/core/policy/load";
import type { Withdrawal } from "@goldenpath/core/policy/pointer-facts";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { gzipLayer, type LayerStand, startLayerStand, type TestLayer } from "@goldenpath/testing/layered-image";
import { type TarOptions, tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { requireTool } from "../support/tools.ts";

/** `goldenpath base rebase`, over a registry, beside what `crane rebase` makes of the same images. */

const run = promisify(execFile);
const said = (text: string): { created_by: string } => ({ created_by: text });

/** A root file system with a release and packages, and one file by which versions differ. */
function baseLayer(version: string, libc: string, more: { release?: string; packages?: string[] } = {}): TestLayer {
  const { release = `ID=debian\nVERSION_ID="12"\n`, packages = ["libc6"] } = more;
  const status = packages.map(
    (name) => `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${libc}\n`,
  );
  return gzipLayer(
    tarOf(
      { name: "etc/os-release", content: release },
      { name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\n" },
      { name: "usr/lib/version", content: version },
      ...(packages.length === 0 ? [] : [{ name: "var/lib/dpkg/status", content: status.join("\n") }]),
    ),
  );
}

const old = baseLayer("1", "2.36-9");
const patched = baseLayer("2", "2.36-10");
const app = gzipLayer(tarOf({ name: "srv/app", content: "app" }));

let stand: LayerStand;
let policies = 0;
beforeAll(async () => {
  stand = await startLayerStand();
});
afterAll(() => stand.stop());

/** A policy with these versions of one base, the newest last. */
async function approve(versions: readonly string[], more = ""): Promise<string> {
  const path = join(stand.directory, `rebase-${++policies}.yaml`);
  const digests = JSON.stringify(versions.map((each) => each.split("@")[1]));
  const base = `{ name: run, image: "${stand.server.host}/bases/run", digests: ${digests}${more} }`;
  await writeFile(path, `version: 1\nname: acme\nserial: 1\nbases:\n  - ${base}\n`);
  return path;
}

const pushBase = (layer: TestLayer, name = "bases/run"): Promise<string> =>
  stand.push([layer], name, {
    config: { Env: ["FROM=base"] },
    history: [said("base"), { ...said("ENV"), empty_layer: true }],
  });
const pushApp = (layers: readonly TestLayer[], labels: Record<string, string> = {}): Promise<string> =>
  stand.push(layers, "quarantine/shop", {
    config: { Env: ["FROM=app"], User: "1000", Entrypoint: ["/srv/app"], Labels: labels },
    history: [said("base"), { ...said("ENV"), empty_layer: true }, ...layers.slice(1).map(() => said("COPY"))],
  });

async function rebase(image: string, policy: string, ...more: string[]) {
  const to = `${stand.server.host}/quarantine/rebased:1`;
  const { code, out, err } = await runMain("base", "rebase", image, "--to", to, "--policy", policy, "--json", ...more);
  const told = (out === "" ? {} : JSON.parse(out)) as { image?: string; refused?: { problem: string }[] };
  return { code, err, image: told.image, problems: (told.refused ?? []).map(({ problem }) => problem).join("\n") };
}

const factsOf = async (image: string) =>
  (await fetchImageFacts(stand.client, parseReference(image, "image"))).children[0];

describe("on a patched version of its base", () => {
  test("the image is what crane rebase makes, and the same again is the same digest", async () => {
    const [first, second] = [await pushBase(old), await pushBase(patched)];
    const image = await pushApp([old, app], { "org.opencontainers.image.base.name": "registry.test/forged" });
    const policy = await approve([first, second]);
    const dry = await rebase(image, policy, "--dry-run");
    expect(dry).toEqual({ code: 0, err: "", image: undefined, problems: "" });
    const { code, image: result = "" } = await rebase(image, policy);
    expect(code).toBe(0);
    expect((await rebase(image, policy)).image).toBe(result);
    const facts = await factsOf(result);
    expect(facts?.config.rootfs.diff_ids).toEqual([patched.diffId, app.diffId]);
    expect(facts?.manifest.annotations).toEqual({
      "org.opencontainers.image.base.name": second,
      "org.opencontainers.image.base.digest": second.split("@")[1],
    });
    const tag = `${stand.server.host}/quarantine/crane:1`;
    const crane = await requireTool("crane");
    await run(crane, ["rebase", image, "--old_base", first, "--new_base", second, "--tag", tag]);
    const theirs = await factsOf(tag);
    expect(facts?.manifest.layers).toEqual(theirs?.manifest.layers);
    const { os, architecture, config, rootfs, history: dated } = theirs?.config ?? {};
    // crane writes the zero of its times where an entry has none; here it has none still.
    const history = dated?.map(({ created, ...entry }) => {
      expect(created).toBe("0001-01-01T00:00:00Z");
      return entry;
    });
    // A label that names the base, which crane leaves as it is, names the new one.
    const labels = { "org.opencontainers.image.base.name": second };
    expect(facts?.config).toEqual({ os, architecture, rootfs, history, config: { ...config, Labels: labels } });
    expect(theirs?.config.config?.Labels).toEqual({ "org.opencontainers.image.base.name": "registry.test/forged" });
    const again = await rebase(result, policy);
    expect(again).toMatchObject({ code: 0, image: undefined, problems: "" });
  });

  test("a file that the new base has unchanged may be another in the application's layers", async () => {
    const policy = await approve([await pushBase(old), await pushBase(patched)]);
    const users = gzipLayer(
      tarOf({ name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/\n" }),
    );
    expect(await rebase(await pushApp([old, users]), policy, "--dry-run")).toMatchObject({ code: 0, problems: "" });
  });
});

describe("refused, and nothing is pushed", () => {
  test.each([
    [
      "another release",
      baseLayer("2", "2.36-10", { release: 'ID=debian\nVERSION_ID="13"\n' }),
      /is debian 12, and the new one debian 13/,
    ],
    [
      "another distribution",
      baseLayer("2", "2.36-10", { release: "ID=alpine\nVERSION_ID=3.20.1\n" }),
      /debian 12, and the new one alpine 3\.20/,
    ],
    ["no release", baseLayer("2", "2.36-10", { release: "NAME=x\n" }), /new base does not say/],
    ["an older C library", baseLayer("2", "2.36-8"), /libc6.* is 2\.36-8 in the new one, which is not newer/],
    ["another C library", baseLayer("2", "2.36-10", { packages: ["musl"] }), /libc6.* not in the new one/],
    ["no packages", baseLayer("2", "2.36-10", { packages: [] }), /libc6.* not in the new one/],
  ])("%s", async (_what, next, problem) => {
    const policy = await approve([await pushBase(old), await pushBase(next)]);
    const { code, image, problems } = await rebase(await pushApp([old, app]), policy);
    expect({ code, image }).toEqual({ code: 1, image: undefined });
    expect(problems).toMatch(problem);
  });

  test.each([
    [
      "a package database",
      "var/lib/dpkg/status",
      "Package: x\n",
      /layer 2 of the image has changed \/var\/lib\/dpkg\/status/,
    ],
    ["a whiteout", "usr/lib/.wh.version", "", /layer 2 of the image has removed \/usr\/lib\/version/],
  ])("%s in the application's layers", async (_what, name, content, problem) => {
    const policy = await approve([await pushBase(old), await pushBase(patched)]);
    const { code, problems } = await rebase(await pushApp([old, gzipLayer(tarOf({ name, content }))]), policy);
    expect(code).toBe(1);
    expect(problems).toMatch(problem);
  });

  test("a base without packages, a foreign one, a lie, and an image of buildpacks", async () => {
    const bare = baseLayer("1", "", { packages: [] });
    const [first, second, none] = [await pushBase(old), await pushBase(patched), await pushBase(bare)];
    const both = await approve([first, second]);
    const label = JSON.stringify({ runImage: { topLayer: patched.diffId, reference: second } });
    const cases: [string, string, RegExp][] = [
      [await pushApp([bare, app]), await approve([none, second]), /no package database/],
      [await pushApp([app]), both, /those of no base of the policy/],
      [await pushApp([{ ...app, diffId: old.diffId }, app]), both, /not what its config says/],
      [
        await pushApp([old, app], { "io.buildpacks.lifecycle.metadata": label }),
        both,
        /an extension has changed its run image/,
      ],
    ];
    for (const [image, policy, problem] of cases) {
      const { code, problems } = await rebase(image, policy);
      expect({ code, problems }).toEqual({ code: 1, problems: expect.stringMatching(problem) });
    }
  });

  test("a version that is over, or that the policy does not have", async () => {
    const [first, second, foreign] = [
      await pushBase(old),
      await pushBase(patched),
      await pushBase(baseLayer("3", "2.36-11")),
    ];
    const image = await pushApp([old, app]);
    const over = await rebase(image, await approve([first, second], ", until: 2020-01-01"));
    expect(over).toMatchObject({ code: 1, problems: expect.stringMatching(/no version of base 'run'/) });
    const policy = await approve([first, second]);
    const elsewhere = await rebase(image, policy, "--onto", foreign.split("@")[1] ?? "");
    expect(elsewhere).toMatchObject({ code: 1, problems: expect.stringMatching(/is no version of base 'run'/) });
    expect(await rebase(image, policy, "--onto", second.split("@")[1] ?? "", "--dry-run")).toMatchObject({ code: 0 });
    expect(await rebase(image, policy, "--onto", "stable")).toMatchObject({ code: 2 });
  });

  test.each<[string, TarOptions[], TarOptions[], RegExp]>([
    [
      "a file over one",
      [{ name: "usr/lib/patch", content: "base" }],
      [{ name: "usr/lib/patch", content: "app" }],
      /layer 2 of the image would hide \/usr\/lib\/patch/,
    ],
    [
      "a whiteout of one",
      [{ name: "usr/lib/patch", content: "base" }],
      [{ name: "usr/lib/.wh.patch", content: "" }],
      /layer 2 of the image would hide \/usr\/lib\/patch/,
    ],
    [
      "a folder in place of a link",
      [{ name: "plugins", type: "2", linkname: "usr/lib" }],
      [{ name: "plugins/own.so", content: "app" }],
      /layer 2 of the image would hide \/plugins/,
    ],
  ])("what only the new base has: %s in the application's layers", async (_what, ofBase, ofApp, problem) => {
    const second = await stand.push([patched, gzipLayer(tarOf(...ofBase))], "bases/run");
    const both = await approve([await pushBase(old), second]);
    const image = await pushApp([old, gzipLayer(tarOf(...ofApp))]);
    const { code, problems } = await rebase(image, both);
    expect({ code, problems }).toEqual({ code: 1, problems: expect.stringMatching(problem) });
    const without = await approve([await pushBase(old), await pushBase(patched)]);
    expect(await rebase(image, without, "--dry-run")).toMatchObject({ code: 0 });
  });

  test("an image of which the buildpacks say that it can't stand elsewhere, beside one of which they say that it can", async () => {
    const policy = await approve([await pushBase(old), await pushBase(patched)]);
    const label = "io.buildpacks.rebasable";
    const refused = await rebase(await pushApp([old, app], { [label]: "false" }), policy);
    expect(refused).toMatchObject({ code: 1, problems: expect.stringContaining(label) });
    expect(await rebase(await pushApp([old, app], { [label]: "true" }), policy, "--dry-run")).toMatchObject({
      code: 0,
    });
  });

  test("an image, or a version, that was withdrawn", async () => {
    const [first, second] = [await pushBase(old), await pushBase(patched)];
    const image = parseReference(await pushApp([old, app]), "image");
    const signal = new AbortController().signal;
    const policy = await approve([first, second]);
    const loaded = await loadPolicy(policy, { ports: silentPorts(), env: {}, workingDirectory: "/", signal });
    const to = `${stand.server.host}/quarantine/withdrawn:1`;
    const problemsWithout = async (
      kind: "image" | "base",
      digest: string | undefined,
      lifted?: Withdrawal["lifted"],
    ) => {
      const told = { reason: "leak", owner: "platform", at: new Date() };
      const withdrawals = [{ thing: { kind, digest: digest as Digest }, ...told, ...(lifted && { lifted }) }];
      const inForce = { predecessors: [], withdrawals } as unknown as NonNullable<typeof loaded.inForce>;
      const request = { image, to, isDryRun: true, now: new Date(), signal };
      const { refused, children } = await rebaseImage(stand.client, { ...loaded, inForce }, request);
      return refused.map(({ problem }) => problem).join() || children[0]?.newBase;
    };
    expect(await problemsWithout("image", image.digest)).toBe("the image was withdrawn");
    // What the image stands on already is what is left.
    expect(await problemsWithout("base", second.split("@")[1])).toBe(first);
    const lifted = { reason: "mistake", owner: "platform", at: new Date() };
    expect(await problemsWithout("base", second.split("@")[1], lifted)).toBe(second);
  });

  test("a version for another platform, which is passed over", async () => {
    const arm = { architecture: "arm64" } as object;
    const [first, second] = [await pushBase(old), await pushBase(patched)];
    const third = await stand.push([baseLayer("3", "2.36-11")], "bases/run", arm);
    const image = await pushApp([old, app]);
    const policy = await approve([first, second, third]);
    expect((await rebase(image, policy, "--onto", third.split("@")[1] ?? "")).problems).toMatch(/is no version/);
    const { image: result = "" } = await rebase(image, policy);
    expect((await factsOf(result))?.config.rootfs.diff_ids).toEqual([patched.diffId, app.diffId]);
  });

  test("to where the policy promotes", async () => {
    await stand.approveImage(await pushBase(old));
    const policy = join(stand.directory, "policy.yaml");
    const image = await pushApp([old, app]);
    const { code, err } = await runMain(
      "base",
      "rebase",
      image,
      "--to",
      "registry.test:5000/vetted/a:1",
      "--policy",
      policy,
    );
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/promotes to for 'production'/) });
  });
});
