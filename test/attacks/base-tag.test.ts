import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listFloating, moveTag } from "@goldenpath/core/base/approval/execute-tag";
import { loadPolicy } from "@goldenpath/core/policy/load";
import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { silentPorts } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import type { TestImage } from "@goldenpath/testing/chain";
import { type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { ago, approved, pushVersion, signDecision } from "../support/signed-bases.ts";

// Ways to get a base's floating tag, which people build and pull by, onto a version that nobody of the policy approved,
// or to keep it there. Each is beside its twin. A real registry, and real signatures.

let stand: LayerStand;
const keys = {} as Record<"approver" | "build" | "promote" | "platform" | "stranger", StageKey>;
let counter = 0;
/** Each test has a repository of bases of its own, and one of the policy in force. */
let name: string;
let old: { base: TestImage; onIt: string };

beforeAll(async () => {
  stand = await startLayerStand();
  for (const each of ["approver", "build", "promote", "platform", "stranger"] as const) keys[each] = await makeKey();
  await writeFile(join(stand.directory, "platform.key"), keys.platform.privateKeyPem);
  await chmod(join(stand.directory, "platform.key"), 0o600);
});
afterAll(() => stand.stop());

beforeEach(async () => {
  name = `bases/golden${++counter}`;
  await writePolicy();
  old = await push("1");
  await sign(old.base, approved({ decidedAt: ago(9) }));
  expect(await move()).toMatchObject({ code: 0, err: "" });
  expect(await tagged()).toBe(old.base.image.digest);
});

const policyFile = () => join(stand.directory, "policy.yaml");
const vetted = () => `${stand.server.host}/vetted${counter}`;
const push = (text: string) => pushVersion(stand, name, text, { on: `vetted${counter}/shop` });
const sign = (base: TestImage, decision: Parameters<typeof signDecision>[2] = approved(), by = keys.approver) =>
  signDecision(stand, base, decision, by);
const move = (...more: string[]) => runMain("base", "tag", "golden", "--policy", policyFile(), ...more);
const readTag = (tag: string) => stand.client.readTag({ registry: stand.server.host, name }, tag);
const tagged = async (): Promise<Digest | undefined> => (await readTag("stable")).digest;

async function writePolicy(): Promise<void> {
  const { build, promote, approver } = keys;
  const signers = { build: build.publicKeyPem, promote: promote.publicKeyPem, approver: approver.publicKeyPem };
  const base = `bases:\n  - name: golden\n    image: ${stand.server.host}/${name}\n    approval: { signers: [approver], grace: 30d, tag: stable }\n`;
  const text = samplePolicyText
    .replace(/^accepts: .*\n/m, "")
    .replace(/^signers:\n[\s\S]*?(?=^bases:)/m, `signers:\n${renderSigners(signers)}`)
    .replace(/^bases:\n[\s\S]*?(?=^build:)/m, base)
    .replace("to: [registry.test:5000/vetted]", `to: [${vetted()}]`)
    .replace("runImage: golden-run", "runImage: golden");
  await writeFile(policyFile(), text);
}

/** Somebody who may write to the repository of bases. */
async function setTag(tag: string, { repository, image }: TestImage): Promise<void> {
  const { bytes } = await stand.client.fetchManifest({ ...repository, digest: image.digest });
  await stand.client.pushManifest(repository, bytes, mediaTypes.ociManifest, tag);
}

describe("the floating tag of a base", () => {
  test("goes to the newest approved version, and the same again writes nothing", async () => {
    const next = await push("2");
    await sign(next.base);
    expect((await move("--dry-run")).out).toContain(`stable: would be ${next.base.image.digest}`);
    expect(await tagged()).toBe(old.base.image.digest);
    expect((await move()).out).toContain(`stable: is ${next.base.image.digest}, and was ${old.base.image.digest}`);
    expect(await tagged()).toBe(next.base.image.digest);
    stand.server.requests.length = 0;
    expect((await move()).out).toMatch(/stable: is sha256:\w+\n$/);
    expect(stand.server.requests.filter(({ method }) => method === "PUT")).toEqual([]);
  });

  test.each<[what: string, forge: (base: TestImage) => Promise<unknown>]>([
    ["that nobody has approved", async () => {}],
    ["by a stranger", (base) => sign(base, approved(), keys.stranger)],
    ["by another signer of the policy", (base) => sign(base, approved(), keys.build)],
    [
      "that was withdrawn after it",
      async (base) => {
        await sign(base, approved({ decidedAt: ago(2) }));
        await sign(base, { decision: "withdrawn", decidedAt: ago(1), reason: "it leaks" });
      },
    ],
    [
      "whose end of life is over, in the policy's grace too",
      (base) => sign(base, approved({ endOfLife: "2020-01-01" })),
    ],
    ["that is to build in", (base) => sign(base, approved({ role: "build-only" }))],
    ["from the future", (base) => sign(base, approved({ decidedAt: ago(-1) }))],
  ])("does not go to a version %s, and goes to its twin", async (_what, forge) => {
    const bad = await push("2");
    await forge(bad.base);
    expect((await move()).code).toBe(0);
    expect(await tagged()).toBe(old.base.image.digest);
    const twin = await push("3");
    await sign(twin.base);
    await move();
    expect(await tagged()).toBe(twin.base.image.digest);
  });

  test("that somebody else has set goes back, and what he set it to is kept for who looks into it", async () => {
    const bad = await push("2");
    await setTag("stable", bad.base);
    await fetch(`http://${stand.server.host}/v2/${name}/manifests/2`, { method: "DELETE" });
    const { out } = await move();
    expect(await tagged()).toBe(old.base.image.digest);
    const kept = `stable-${bad.base.image.digest.slice(7, 19)}`;
    expect(out).toContain(`kept as ${kept}`);
    expect((await readTag(kept)).digest).toBe(bad.base.image.digest);
  });

  test("stays where it is, with an error, where no version is left", async () => {
    await sign(old.base, { decision: "withdrawn", decidedAt: new Date(), reason: "it leaks" });
    const { code, err } = await move();
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/no version of base 'golden'.*it leaks/) });
    expect(await tagged()).toBe(old.base.image.digest);
  });

  test("stays on one of two versions that were approved at one moment, however often one asks", async () => {
    const decidedAt = ago(1);
    for (const each of [await push("2"), await push("3")]) await sign(each.base, approved({ decidedAt }));
    await move();
    const first = await tagged();
    expect(first).not.toBe(old.base.image.digest);
    for (const tag of ["0", "z"]) await setTag(tag, old.base);
    await move();
    expect(await tagged()).toBe(first);
  });

  test("is one that the policy gives to a base: of another name there is none", async () => {
    const { code, err } = await runMain("base", "tag", "golden-run", "--policy", policyFile());
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("those that have: golden") });
  });
});

describe("somebody else at the same time", () => {
  /** Does something when the policy is read for the nth time. */
  async function moveWhile(when: number, meanwhile: () => Promise<unknown>, client: RegistryClient = stand.client) {
    const context = { ports: silentPorts(), env: {}, workingDirectory: "/", signal: new AbortController().signal };
    const read = (): Promise<LoadedPolicy> => loadPolicy(policyFile(), context);
    const [base] = listFloating((await read()).policy);
    if (base === undefined) throw new TypeError("no base");
    let reads = 0;
    const readPolicy = async (): Promise<LoadedPolicy> => {
      if (++reads === when) await meanwhile();
      return read();
    };
    return moveTag(client, base, readPolicy, { now: new Date(Date.now() + 60_000) });
  }

  test("withdraws what the tag has just been set to, or approves a newer one: the tag follows", async () => {
    const [bad, next] = [await push("2"), await push("3")];
    await sign(bad.base, approved({ decidedAt: ago(1) }));
    const leak = { decision: "withdrawn" as const, decidedAt: new Date(), reason: "it leaks" };
    expect((await moveWhile(2, () => sign(bad.base, leak))).digest).toBe(old.base.image.digest);
    expect(await tagged()).toBe(old.base.image.digest);
    await sign(bad.base, approved({ decidedAt: new Date() }));
    const newer = approved({ decidedAt: new Date(Date.now() + 1000) });
    expect((await moveWhile(2, () => sign(next.base, newer))).digest).toBe(next.base.image.digest);
    expect(await tagged()).toBe(next.base.image.digest);
  });

  test("sets the tag once it was set, or just before: it ends where it belongs", async () => {
    const [bad, next] = [await push("2"), await push("3")];
    await sign(next.base);
    await moveWhile(2, () => setTag("stable", bad.base));
    expect(await tagged()).toBe(next.base.image.digest);
    await setTag("stable", old.base);
    let isFirst = true;
    const disturbed: RegistryClient = {
      ...stand.client,
      async setTag(...args) {
        if (isFirst) await setTag("stable", bad.base);
        isFirst = false;
        return stand.client.setTag(...args);
      },
    };
    await moveWhile(0, async () => {}, disturbed);
    expect(await tagged()).toBe(next.base.image.digest);
  });

  test("who never stops gets an error, and not the last word unseen", async () => {
    const bad = await push("2");
    const disturbed: RegistryClient = {
      ...stand.client,
      async setTag(...args) {
        await stand.client.setTag(...args);
        await setTag("stable", bad.base);
        return "set";
      },
    };
    await setTag("stable", bad.base);
    await expect(moveWhile(0, async () => {}, disturbed)).rejects.toMatchObject({ code: "tag-moved" });
  });
});

describe("a base that is withdrawn", () => {
  const withdraw = (digest: Digest, ...more: string[]) =>
    runMain(
      ...["withdraw", "--base", digest, "--to", `${vetted()}/goldenpath-policy`, "--reason", "it leaks"],
      ...["--owner", "security", "--key", join(stand.directory, "platform.key"), ...more],
    );
  beforeEach(async () => {
    const place = ["--to", `${vetted()}/goldenpath-policy`, "--key", join(stand.directory, "platform.key"), "--first"];
    expect(await runMain("policy", "activate", policyFile(), ...place)).toMatchObject({ code: 0, err: "" });
  });
  async function pushTagged(text: string) {
    const pushed = await push(text);
    const [registry = "", image = ""] = [stand.server.host, `vetted${counter}/shop`];
    const digest = pushed.onIt.split("@")[1] as Digest;
    const { bytes } = await stand.client.fetchManifest({ registry, name: image, digest });
    await stand.client.pushManifest({ registry, name: image }, bytes, mediaTypes.ociManifest, `on-${text}`);
    return { ...pushed, digest };
  }

  test("gives its tag back to the newest still approved, and what stands on it is listed, as often as one asks", async () => {
    const good = await pushTagged("1");
    const bad = await pushTagged("2");
    await sign(bad.base);
    await move();
    expect(await tagged()).toBe(bad.base.image.digest);
    const dry = await withdraw(bad.base.image.digest, "--dry-run");
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining(`stable: would be ${old.base.image.digest}`) });
    expect(await tagged()).toBe(bad.base.image.digest);
    const { code, out, err } = await withdraw(bad.base.image.digest);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(await tagged()).toBe(old.base.image.digest);
    expect(out).toContain(`1 images of 1 repositories stand on ${bad.base.image.digest}`);
    expect(out).toContain(`shop:on-2@${bad.digest} linux/amd64`);
    expect(out).not.toContain(good.digest);
    const again = await withdraw(bad.base.image.digest, "--images", `${vetted()}/shop`);
    expect(again).toMatchObject({ code: 0, out: expect.stringContaining("was withdrawn before") });
    expect(again.out).toContain(`shop:on-2@${bad.digest} linux/amd64`);
    // Whoever sets the tag from now on goes by the policy in force.
    const inForce = ["--policy", `oci://${vetted()}/goldenpath-policy:in-force`, "--policy-signer"];
    await runMain("base", "tag", "golden", ...inForce, keys.platform.publicKeyPem);
    expect(await tagged()).toBe(old.base.image.digest);
    expect((await withdraw(bad.base.image.digest, "--undo")).code).toBe(0);
    expect(await tagged()).toBe(bad.base.image.digest);
  });

  test("and was the last one is withdrawn all the same, and the exit code says that its tag stays", async () => {
    const { digest } = await pushTagged("1");
    const { code, out, err } = await withdraw(old.base.image.digest);
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("no version of base 'golden' is approved") });
    expect(out).toContain(": is withdrawn, in");
    expect(out).toContain(digest);
    expect(await tagged()).toBe(old.base.image.digest);
  });

  test("is withdrawn all the same where nobody can say what stands on it, and the exit code says so", async () => {
    const { code, out, err } = await withdraw(old.base.image.digest, "--images", `${stand.server.host}/elsewhere/shop`);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("could not be listed") });
    expect(out).toContain(": is withdrawn, in");
  });
});
