import { createPublicKey } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { loadPolicy } from "@goldenpath/core/policy/load";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { findPointerRepository, pointerTag } from "@goldenpath/core/policy/pointer";
import type { Execution } from "@goldenpath/core/verbs/execute";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence, pushImage, type TestImage } from "@goldenpath/testing/chain";
import { type ChainPolicy, putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { openStand, promoteWhole, type Stand } from "@goldenpath/testing/promotion";
import { renderSigners } from "@goldenpath/testing/signers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

// Which policy a promotion is judged by: the one that vetted says is in force, by the platform's signer, and no other,
// whoever asks.

const day = 86_400_000;
let stand: Stand;
let pointer: Repository;
beforeEach(async () => {
  stand = await openStand();
  pointer = findPointerRepository(parseRepository(`${stand.to}/shop`));
});
afterEach(() => stand.close());

/** The organisation's next policy: another serial, another content, and what it accepts of those before it. */
async function nextPolicy(change: {
  serial: number;
  accepts?: string;
  remark?: string;
  activators?: string;
}): Promise<ChainPolicy> {
  const { directory, keys, from, to } = stand;
  const written = await writeChainPolicy({ directory, keys, from, to, remark: `serial ${change.serial}`, ...change });
  if (change.activators === undefined) return written;
  const platform = renderSigners({ platform: keys.platform.publicKey });
  const text = (await readFile(written.file, "utf8")).replace(
    "signers:\n",
    `activators: ${change.activators}\nsigners:\n${platform}`,
  );
  await writeFile(written.file, text);
  const bytes = new TextEncoder().encode(text);
  return { policy: parsePolicy(bytes, written.file), uri: written.file, digest: digestOf(bytes), file: written.file };
}

async function stage(policy: ChainPolicy, content?: string): Promise<TestImage> {
  const { client, keys } = stand;
  const image = await pushImage(client, `${stand.from}/shop`, content);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

/** Refused by `rule` before anything is asked of vetted but who is in force, and with vetted as it was. */
async function expectRefused(
  rule: string,
  image: TestImage,
  inputs: Readonly<Record<string, string>> = {},
  says: RegExp = /./,
): Promise<void> {
  const before = await stand.vettedState();
  stand.vetted.requests.length = 0;
  const { outcome } = await stand.promote(image, inputs);
  expect(outcome.verdict).toBe("fail");
  expect(outcome.result.violations.map((violation) => violation.rule)).toEqual([rule]);
  for (const { problem, wayOut } of outcome.result.violations) {
    expect(problem).toMatch(says);
    expect(wayOut).not.toBe("");
  }
  const asked = stand.vetted.requests.map(({ method, path }) => `${method} ${path}`);
  expect(new Set(asked)).toEqual(new Set([`GET /v2/${pointer.name}/manifests/${pointerTag}`]));
  expect(await stand.vettedState()).toEqual(before);
}

describe("a policy that is not the one in force is refused", () => {
  test("the one before it, which an old wrapper or a re-run still names; and the one in force is not", async () => {
    const older = stand.policy;
    const image = await stage(older);
    const newer = await nextPolicy({ serial: 6, accepts: "1d" });
    await putInForce(stand.client, stand.to, newer, stand);
    await expectRefused("policy.not-in-force", image, { policy: older.file }, /superseded on/);
    stand = { ...stand, policy: newer };
    await expectPass(await stand.promote(image, { policy: newer.file }));
  });

  test("one that is not in force yet", async () => {
    const newer = await nextPolicy({ serial: 6 });
    await expectRefused("policy.not-in-force", await stage(newer), { policy: newer.file }, /nobody has put in force/);
  });

  test("another content under the same serial", async () => {
    const forged = await nextPolicy({ serial: 5, remark: "everything is allowed" });
    await expectRefused("policy.not-in-force", await stage(forged), { policy: forged.file }, /another content/);
  });

  test("somebody else's, of another name", async () => {
    const foreign = await nextPolicy({ serial: 5 });
    const text = (await readFile(foreign.file, "utf8")).replace("name: acme", "name: other");
    await writeFile(foreign.file, text);
    const bytes = new TextEncoder().encode(text);
    const policy = { ...foreign, policy: parsePolicy(bytes, foreign.file), digest: digestOf(bytes) };
    await expectRefused("policy.not-in-force", await stage(policy), { policy: policy.file }, /another policy/);
  });

  test("a serial below that was never in force", async () => {
    const older = await nextPolicy({ serial: 4 });
    await expectRefused("policy.not-in-force", await stage(older), { policy: older.file }, /never in force/);
  });

  test("also for a dry run, and for each of several images", async () => {
    const newer = await nextPolicy({ serial: 6 });
    const image = await stage(stand.policy);
    await expectRefused("policy.not-in-force", image, { policy: newer.file, "dry-run": "true" });
    const images = `${image.reference} ${stand.to}/shop 1.0.0\n${image.reference} ${stand.to}/cart 1.0.0`;
    await expectRefused("policy.not-in-force", image, { policy: newer.file, image: "", to: "", tags: "", images });
  });

  test("its twin: the one in force is promoted under, whole", async () => {
    await promoteWhole(stand, await stage(stand.policy));
  });
});

describe("a pointer that is not the platform's word is refused", () => {
  /** Writes to the pointer's tag what whoever may write to vetted could. */
  async function overwrite(change: (manifest: Record<string, unknown>) => unknown): Promise<void> {
    const { manifest } = await stand.client.fetchManifest({ ...pointer, tag: pointerTag });
    const bytes = new TextEncoder().encode(JSON.stringify(change(JSON.parse(JSON.stringify(manifest)))));
    await stand.client.pushManifest(pointer, bytes, mediaTypes.ociManifest, pointerTag);
  }

  /** Puts another place's pointer here, with all that it holds. */
  async function copyPointer(from: Repository): Promise<void> {
    const { kind, bytes, manifest } = await stand.client.fetchManifest({ ...from, tag: pointerTag });
    for (const blob of kind === "image" ? [manifest.config, ...manifest.layers] : []) {
      const content = await stand.client.fetchBlob(from, blob);
      await stand.client.pushBlob(pointer, blob, () => content);
    }
    await stand.client.pushManifest(pointer, bytes, mediaTypes.ociManifest, pointerTag);
  }

  test("none at all", async () => {
    await fetch(
      `${stand.vetted.url}/v2/${pointer.name}/manifests/${(await stand.client.resolve({ ...pointer, tag: pointerTag })) ?? ""}`,
      {
        method: "DELETE",
      },
    );
    await expectRefused("policy.pointer-missing", await stage(stand.policy), {}, /is not there/);
  });

  test.each(["promote", "scan", "stranger"] as const)("signed with the key of %s", async (name) => {
    // As whoever holds that key, and may write to vetted, would: by goldenpath's own command, over nothing.
    const { client, keys, to, policy } = stand;
    const forged = await nextPolicy({ serial: 9, remark: "everything is allowed" });
    const elsewhere = `${to}-of-the-forger`;
    if (name === "stranger") await putInForce(client, elsewhere, forged, { keys, signer: keys.stranger.signer });
    else
      await expect(putInForce(client, elsewhere, forged, { keys, signer: keys[name].signer })).rejects.toMatchObject({
        code: "policy-signer-speaks",
      });
    if (name !== "stranger") {
      // And so by a tool of their own, which does not ask.
      const lax = { ...forged, policy: { ...forged.policy, environments: {} } };
      await putInForce(client, elsewhere, lax, { keys, signer: keys[name].signer });
    }
    const from = findPointerRepository(parseRepository(`${elsewhere}/any`));
    await copyPointer(from);
    await expectRefused(
      "policy.pointer-invalid",
      await stage(policy),
      { policy: forged.file },
      /not signed by the platform's signer/,
    );
    // The caller can't lend it weight by naming that key: a stage's key is nobody's word here.
    if (name === "stranger") return;
    const { outcome } = await stand.promote(await stage(policy), {
      policy: forged.file,
      "policy-signer": keys[name].publicKey,
    });
    expect(outcome.result.error?.code).toBe("policy-signer-speaks");
  });

  test("the platform's own, made for another registry or repository", async () => {
    const { client, keys } = stand;
    const lax = await nextPolicy({ serial: 9 });
    const trial = `${stand.vetted.host}/trial`;
    const from = await putInForce(client, trial, lax, { keys });
    await copyPointer(from);
    await expectRefused("policy.pointer-invalid", await stage(lax), { policy: lax.file }, /was made for/);
  });

  test.each<[string, (manifest: Record<string, unknown>) => unknown, RegExp]>([
    [
      "without its bundle's true bytes",
      (manifest) => edit(manifest, { data: Buffer.from("{}").toString("base64") }),
      /digest/,
    ],
    ["of another type", (manifest) => ({ ...manifest, artifactType: "application/x" }), /not a Sigstore bundle/],
    [
      "with something beside the bundle",
      (manifest) => ({ ...manifest, layers: [layerOf(manifest), layerOf(manifest)] }),
      /nothing else/,
    ],
    ["too large", (manifest) => edit(manifest, { size: 1 << 20 }), /bytes/],
  ])("%s", async (_what, change, says) => {
    await overwrite(change);
    await expectRefused("policy.pointer-invalid", await stage(stand.policy), {}, says);
  });

  test("its twin: the same pointer without the copy of the bundle in its manifest, which a registry may not keep, is as good", async () => {
    await overwrite((manifest) => edit(manifest, { data: undefined }));
    await expectPass(await stand.promote(await stage(stand.policy)));
  });

  test("nobody named on whose word", async () => {
    const { outcome } = await stand.promote(await stage(stand.policy), { "policy-signer": "" });
    expect(outcome.verdict).toBe("error");
    expect(outcome.result.error?.code).toBe("policy-signer-missing");
  });

  test("its twin: the policy itself names its activators", async () => {
    const policy = await nextPolicy({ serial: 6, activators: "[platform]" });
    await putInForce(stand.client, stand.to, policy, stand);
    await expectPass(await stand.promote(await stage(policy), { policy: policy.file, "policy-signer": "" }));
  });

  test("no image is promoted to where the pointer is", async () => {
    const { outcome } = await stand.promote(await stage(stand.policy), {
      to: formatRepository(pointer),
      tags: pointerTag,
    });
    expect(outcome.result.violations.map(({ rule }) => rule)).toEqual(["promote.destination"]);
  });
});

describe("putting a policy in force", () => {
  test("a serial that does not rise, another name, and another key's pointer are refused, and nothing changes", async () => {
    const { client, keys, to } = stand;
    const before = await stand.vettedState();
    const same = await nextPolicy({ serial: 5, remark: "another" });
    const lower = await nextPolicy({ serial: 4 });
    const next = await nextPolicy({ serial: 6 });
    for (const policy of [same, lower])
      await expect(putInForce(client, to, policy, { keys })).rejects.toMatchObject({ code: "policy-serial" });
    await expect(putInForce(client, to, next, { keys, signer: keys.stranger.signer })).rejects.toMatchObject({
      code: "policy-pointer-invalid",
    });
    await expect(putInForce(client, to, next, { keys, signer: keys.promote.signer })).rejects.toMatchObject({
      code: "policy-signer-speaks",
    });
    await expect(putInForce(client, to, next, { keys, revoke: [4] })).rejects.toMatchObject({ code: "policy-revoke" });
    expect(await stand.vettedState()).toEqual(before);
    // The same again is no change; the next one is.
    await putInForce(client, to, stand.policy, { keys });
    expect(await stand.vettedState()).toEqual(before);
    await putInForce(client, to, next, { keys });
    expect((await read())?.serial).toBe(6);
  });

  test("an older serial after the pointer's tag was deleted: that one was there before has to be denied in so many words", async () => {
    const { client, keys, to } = stand;
    const older = await nextPolicy({ serial: 4 });
    const gone = await fetch(`http://${stand.vetted.host}/v2/${pointer.name}/manifests/${pointerTag}`, {
      method: "DELETE",
    });
    expect(gone.status).toBe(202);
    const before = await stand.vettedState();
    for (const policy of [older, stand.policy])
      await expect(putInForce(client, to, policy, { keys, isFirst: false })).rejects.toMatchObject({
        code: "policy-first",
        wayOut: expect.stringContaining("--first"),
      });
    expect(await stand.vettedState()).toEqual(before);
    await expectRefused("policy.pointer-missing", await stage(stand.policy));
    // Its twin: somebody says so, and answers for it.
    await putInForce(client, to, stand.policy, { keys, isFirst: true });
    await expectPass(await stand.promote(await stage(stand.policy)));
  });

  test("a new key of the platform's takes over from the old one", async () => {
    const { client, keys, to } = stand;
    const next = await nextPolicy({ serial: 6 });
    const previousSigners = [createPublicKey(keys.platform.publicKey)];
    await putInForce(client, to, next, { keys, signer: keys.stranger.signer, previousSigners });
    await expectRefused("policy.pointer-invalid", await stage(next), { policy: next.file });
    const both = keys.platform.publicKey + keys.stranger.publicKey;
    await expectPass(await stand.promote(await stage(next), { policy: next.file, "policy-signer": both }));
  });
});

async function read(): Promise<{ serial: number; uri: string } | undefined> {
  const uri = `oci://${formatRepository(pointer)}:${pointerTag}`;
  const context = {
    ports: silentPorts(),
    env: {},
    signal: new AbortController().signal,
    workingDirectory: stand.directory,
  };
  const loaded = await loadPolicy(uri, context, stand.keys.platform.publicKey);
  return { serial: loaded.policy.serial, uri: loaded.uri };
}

describe("evidence of the policy before, where `accepts` is a duration", () => {
  /** Serial 5 from three days ago, serial 6 since `superseded` ago. */
  async function change(superseded: number, accepts?: string, revoke: number[] = []): Promise<ChainPolicy> {
    const { client, keys } = stand;
    const next = await nextPolicy({ serial: 6, ...(accepts === undefined ? {} : { accepts }) });
    await putInForce(client, stand.to, next, { keys, now: new Date(Date.now() - superseded) });
    if (revoke.length > 0) await putInForce(client, stand.to, next, { keys, revoke });
    return next;
  }
  async function promoteOld(next: ChainPolicy, age: number): Promise<Execution> {
    const { client, keys } = stand;
    const image = await pushImage(client, `${stand.from}/shop`);
    const falsehood = { age };
    const falsehoods = { provenance: falsehood, baseVerdict: falsehood, scanVerdict: falsehood };
    await attachEvidence({ client, image, policy: stand.policy, keys, falsehoods });
    return stand.promote(image, { policy: next.file });
  }
  const rules = ({ outcome }: Execution): string[] => [...new Set(outcome.result.violations.map(({ rule }) => rule))];

  test("counts within it", async () => expectPass(await promoteOld(await change(day, "2d"), 2 * day)));
  test("not after it", async () =>
    expect(rules(await promoteOld(await change(3 * day, "2d"), 4 * day))).toEqual(["gate.policy-serial"]));
  test("not where nothing is accepted", async () =>
    expect(rules(await promoteOld(await change(day), 2 * day))).toEqual(["gate.policy-serial"]));
  test("not where it was revoked", async () =>
    expect(rules(await promoteOld(await change(day, "2d", [5]), 2 * day))).toEqual(["gate.policy-serial"]));
  test("not where it was revoked, although the list form names it", async () => {
    const listed = `[{ serial: 5, digest: "${stand.policy.digest}" }]`;
    expect(rules(await promoteOld(await change(day, listed, [5]), 2 * day))).toEqual(["gate.policy-serial"]);
  });
  test("not where it was made after the change, by a stage that was left under the old policy", async () =>
    expect(rules(await promoteOld(await change(day, "2d"), day / 2))).toEqual(["gate.policy-serial"]));
  test("where a run was under way as the policy changed", async () =>
    expectPass(await promoteOld(await change(day, "2d"), day - 30 * 60_000)));
});

test("five callers of one wrapper: a change reaches the next run of each, nothing of theirs is edited, and what was judged yesterday is promoted", async () => {
  const callers = ["shop", "cart", "search", "mail", "billing"];
  const { client, keys } = stand;
  // What the wrapper names, once for all of them: a place and a key.
  const wrapper = {
    policy: `oci://${formatRepository(pointer)}:${pointerTag}`,
    "policy-signer": keys.platform.publicKey,
  };
  const run = async (name: string, policy: ChainPolicy, tag: string, age: number): Promise<Execution> => {
    const image = await pushImage(client, `${stand.from}/${name}`, `${name} ${tag}`);
    const falsehoods = { provenance: { age }, baseVerdict: { age }, scanVerdict: { age } };
    await attachEvidence({ client, image, policy, keys, falsehoods });
    return stand.promote(image, { ...wrapper, to: `${stand.to}/${name}`, tags: tag });
  };
  for (const name of callers) {
    const { outcome } = await run(name, stand.policy, "1.0.0", 60_000);
    expect(outcome.result.policy).toMatchObject({ serial: 5, digest: stand.policy.digest });
    expect(outcome.verdict).toBe("pass");
  }
  const next = await nextPolicy({ serial: 6, accepts: "14d" });
  await putInForce(client, stand.to, next, { keys });
  for (const name of callers) {
    const fresh = await run(name, next, "2.0.0", 60_000);
    expect(fresh.outcome.verdict).toBe("pass");
    expect(fresh.outcome.result.policy).toMatchObject({ serial: 6, digest: next.digest });
    const yesterdays = await run(name, stand.policy, "1.1.0", day);
    expect(yesterdays.outcome.verdict).toBe("pass");
    expect(yesterdays.outcome.result.policy).toMatchObject({ serial: 6 });
  }
  expect(await read()).toMatchObject({ serial: 6 });
});

async function expectPass({ outcome, error }: Execution): Promise<void> {
  expect(error).toBeUndefined();
  expect(outcome.result.violations).toEqual([]);
  expect(outcome.verdict).toBe("pass");
}

const layerOf = (manifest: Record<string, unknown>): unknown => (manifest["layers"] as unknown[])[0];
const edit = (manifest: Record<string, unknown>, change: Record<string, unknown>): unknown => ({
  ...manifest,
  layers: [{ ...(layerOf(manifest) as object), ...change }],
});
