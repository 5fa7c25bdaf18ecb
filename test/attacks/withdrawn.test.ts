import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { findPointerRepository } from "@goldenpath/core/policy/pointer";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { attachEvidence, type Falsehoods, pushImage, pushIndex, type TestImage } from "@goldenpath/testing/chain";
import { putInForce, writeChainPolicy } from "@goldenpath/testing/chain-policy";
import { openStand, promoteWhole, readStatements, type Stand } from "@goldenpath/testing/promotion";
import { renderSigners } from "@goldenpath/testing/signers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain as run } from "../support/cli.ts";

// What was let through and is found bad: taken back by the platform's signer alone, for every later gate, and given
// back by nobody else.

let stand: Stand;
let to: string;
beforeEach(async () => {
  stand = await openStand();
  to = formatRepository(findPointerRepository(parseRepository(`${stand.to}/shop`)));
});
afterEach(() => stand.close());

const hour = 3_600_000;
const why = ["--reason", "it leaks", "--owner", "security@acme.example"];
const withdraw = (...args: string[]) => run("withdraw", ...args, "--to", to, "--key", stand.keys.platform.file, ...why);
const rulesOf = ({ outcome }: Execution) => [...new Set(outcome.result.violations.map(({ rule }) => rule))];
const verify = (image: string, policy = `oci://${to}:in-force`) =>
  executeVerb(
    verifyVerb as Verb,
    {
      policy,
      "policy-signer": stand.keys.platform.publicKeyFile,
      image,
      environment: "production",
    },
    {
      ...{ ports: silentPorts(), run: { builderId: "local" }, env: {}, signal: new AbortController().signal },
      ...{ workingDirectory: stand.directory, temporaryRoot: stand.directory, defaultResultDirectory: stand.directory },
    },
  );

async function promoted(content: string): Promise<{ image: TestImage; reference: string }> {
  const image = await stand.stageImage({}, content);
  const { outcome } = await stand.promote(image);
  expect(outcome.result.violations).toEqual([]);
  return { image, reference: outcome.outputs["image"] ?? "" };
}

describe("an image that was withdrawn", () => {
  test("is refused where it is and where it would go, beside its twin, until that is lifted", async () => {
    const bad = await promoted("bad");
    const good = await promoted("good");
    expect((await withdraw(bad.reference)).out).toContain(": is withdrawn, in");
    expect(rulesOf(await verify(bad.reference))).toEqual(["gate.withdrawn"]);
    expect(rulesOf(await stand.promote(bad.image, { to: `${stand.to}/cart` }))).toEqual(["gate.withdrawn"]);
    expect(rulesOf(await verify(good.reference))).toEqual([]);
    expect((await stand.promote(good.image, { to: `${stand.to}/cart` })).outcome.verdict).toBe("pass");
    expect((await withdraw(bad.reference)).out).toContain("was withdrawn before");

    // The next policy does not give it back.
    const { directory, keys, from, to: vetted } = stand;
    const next = await writeChainPolicy({ directory, keys, from, to: vetted, serial: 6, accepts: "1d" });
    await putInForce(stand.client, stand.to, next, { keys });
    expect(rulesOf(await verify(bad.reference))).toEqual(["gate.withdrawn"]);

    expect((await withdraw(bad.reference, "--undo")).out).toContain("is lifted");
    expect(rulesOf(await verify(bad.reference))).toEqual([]);
  });

  test("stays so, whoever else would lift it or take the word away", async () => {
    const { reference } = await promoted("bad");
    await withdraw(reference);
    const before = await stand.vettedState();
    for (const name of ["promote", "stranger"] as const) {
      const given = await run("withdraw", reference, "--undo", "--to", to, "--key", stand.keys[name].file, ...why);
      expect({ code: given.code, said: given.err }).toEqual({
        code: expect.any(Number),
        said: expect.stringContaining("not signed by the platform's signer"),
      });
      expect(given.code).not.toBe(0);
    }
    expect(await stand.vettedState()).toEqual(before);
    expect(rulesOf(await verify(reference))).toEqual(["gate.withdrawn"]);
    // Without the pointer nothing is let through at all.
    const [registry = "", ...name] = to.split("/");
    await fetch(`http://${registry}/v2/${name.join("/")}/manifests/in-force`, { method: "DELETE" });
    expect((await verify(reference)).outcome.verdict).not.toBe("pass");
  });

  test("takes the images of an index along, each by its own digest", async () => {
    const { client, keys, policy, from } = stand;
    const index = await pushIndex(client, `${from}/shop`);
    await attachEvidence({ client, image: index, policy, keys });
    const [child] = index.children;
    if (child === undefined) throw new TypeError("an index without children");
    const own = `${from}/shop@${child.digest}`;
    expect(rulesOf(await stand.promote(own))).toEqual([]);
    const { out } = await withdraw(index.reference);
    for (const { digest } of index.children) expect(out).toContain(`withdrawn: image ${digest}`);
    expect(rulesOf(await stand.promote(own, { to: `${stand.to}/cart` }))).toEqual(["gate.withdrawn"]);
    expect((await withdraw(index.reference, "--undo")).code).toBe(0);
    expect(rulesOf(await stand.promote(own, { to: `${stand.to}/cart` }))).toEqual([]);
    // By the digest alone the signers' word is what tells.
    expect((await withdraw(index.reference, "--unseen")).out).not.toContain(child.digest);
    expect(rulesOf(await stand.promote(own, { to: `${stand.to}/tray` }))).toEqual(["gate.withdrawn"]);
  });

  test("is one that is there, and a base one of the policy's, unless that is said", async () => {
    const before = await stand.vettedState();
    const nowhere = digestOf("nowhere");
    const image = `${stand.from}/shop@${nowhere}`;
    expect((await withdraw(image)).err).toMatch(/does not exist[\s\S]*--unseen/);
    const { code, err } = await withdraw("--base", nowhere);
    expect({ code, err }).toEqual({
      code: 2,
      err: expect.stringContaining(`bases there are: golden ${digestOf("base")}`),
    });
    expect(await stand.vettedState()).toEqual(before);
    for (const args of [
      ["--base", nowhere, "--unseen"],
      [image, "--unseen"],
    ])
      expect(await withdraw(...args)).toMatchObject({ code: 0, out: expect.stringContaining(": is withdrawn, in") });
    // Withdrawn all the same: of a base that is gone nobody can say what stands on it, nor of an image without provenance
    // what it was built with.
    expect(await withdraw("--base", digestOf("base"))).toMatchObject({
      code: 2,
      out: expect.stringContaining(": is withdrawn, in"),
      err: expect.stringContaining("could not be listed"),
    });
    expect(await withdraw("--base", digestOf("buildpack"))).toMatchObject({
      code: 2,
      out: expect.stringMatching(/: is withdrawn, in[\s\S]*no signer of the policy says how it was built/),
    });
  });

  test("is refused to a deployment that names the policy by its file, where it names the platform's signer", async () => {
    const bad = await promoted("bad");
    const good = await promoted("good");
    await withdraw(bad.reference);
    const { file } = stand.policy;
    expect(rulesOf(await verify(bad.reference, file))).toEqual(["gate.withdrawn"]);
    expect(rulesOf(await verify(good.reference, file))).toEqual([]);
    // Nor does the policy of before let it through.
    const { directory, keys, from, to: vetted } = stand;
    const next = await writeChainPolicy({ directory, keys, from, to: vetted, serial: 6, accepts: "1d" });
    await putInForce(stand.client, vetted, next, { keys });
    expect((await verify(good.reference, next.file)).outcome.verdict).toBe("pass");
    const { outcome } = await verify(good.reference, file);
    expect({ verdict: outcome.verdict, rules: outcome.result.violations.map(({ rule }) => rule) }).toEqual({
      verdict: "fail",
      rules: ["policy.not-in-force"],
    });
  });

  test("is refused to a deployment whose policy is in force elsewhere as well, where nothing was withdrawn", async () => {
    const bad = await promoted("bad");
    await putInForce(stand.client, stand.from, stand.policy, { keys: stand.keys });
    const elsewhere = formatRepository(findPointerRepository(parseRepository(`${stand.from}/shop`)));
    expect(elsewhere).not.toBe(to);
    expect(rulesOf(await verify(bad.reference, `oci://${elsewhere}:in-force`))).toEqual([]);
    await withdraw(bad.reference);
    expect(rulesOf(await verify(bad.reference, `oci://${elsewhere}:in-force`))).toEqual(["gate.withdrawn"]);
  });

  test("a dry run writes nothing", async () => {
    const { reference } = await promoted("bad");
    const before = await stand.vettedState();
    expect((await withdraw(reference, "--dry-run")).out).toContain("would be withdrawn");
    expect(await stand.vettedState()).toEqual(before);
    await promoteWhole(stand, await stand.stageImage());
  });
});

test("a signer's word from a time on counts for nothing where nobody else dates it, and another's does", async () => {
  const { reference } = await promoted("shop");
  const from = ["--from", "2026-01-01T00:00:00Z"];
  expect((await withdraw("--signer", "nobody", ...from)).err).toContain("'nobody' is no signer of the policy in force");
  expect((await withdraw("--signer", "scan", ...from)).code).toBe(0);
  const refused = await verify(reference);
  expect(rulesOf(refused)).toEqual(["gate.signer"]);
  expect(refused.outcome.result.violations[0]?.problem).toContain(
    "signed by 'scan', whose word counts until 2026-01-01T00:00:00Z",
  );
  expect((await withdraw("--signer", "scan", ...from, "--undo")).code).toBe(0);
  expect(rulesOf(await verify(reference))).toEqual([]);
  expect((await withdraw("--signer", "scan", "--from", "2099-01-01T00:00:00Z")).code).toBe(0);
  expect(rulesOf(await verify(reference))).toEqual([]);
});

test("whoever puts policies in force is not withdrawn as if it spoke for a stage", async () => {
  const { client, keys, directory, from, to: vetted } = stand;
  const next = await writeChainPolicy({ directory, keys, from, to: vetted, serial: 6 });
  const text = (await readFile(next.file, "utf8")).replace(
    "signers:\n",
    `activators: [platform]\nsigners:\n${renderSigners({ platform: keys.platform.publicKey })}`,
  );
  const bytes = Buffer.from(text);
  await writeFile(next.file, text);
  await putInForce(
    client,
    vetted,
    { ...next, policy: parsePolicy(bytes, next.file), digest: digestOf(bytes) },
    { keys },
  );
  const { code, err } = await withdraw("--signer", "platform", "--from", "2026-01-01T00:00:00Z");
  expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("'platform' puts policies in force") });
});

test("a signer that was withdrawn does not come back by another name", async () => {
  const { client, keys, directory, from, to: vetted } = stand;
  const { reference } = await promoted("shop");
  expect((await withdraw("--signer", "scan", "--from", "2026-01-01T00:00:00Z")).code).toBe(0);
  const next = await writeChainPolicy({ directory, keys, from, to: vetted, serial: 6, accepts: "1d" });
  const text = (await readFile(next.file, "utf8")).replace("  scan:\n", "  scan-2:\n").replaceAll("[scan]", "[scan-2]");
  const bytes = Buffer.from(text);
  const renamed = { ...next, policy: parsePolicy(bytes, next.file), digest: digestOf(bytes) };
  await writeFile(next.file, text);
  const before = await stand.vettedState();
  await expect(putInForce(client, vetted, renamed, { keys })).rejects.toMatchObject({
    code: "policy-renames-withdrawn",
  });
  expect(await stand.vettedState()).toEqual(before);

  // Its twin keeps the name, and the withdrawal with it.
  await putInForce(
    client,
    vetted,
    await writeChainPolicy({ directory, keys, from, to: vetted, serial: 6, accepts: "1d" }),
    {
      keys,
    },
  );
  expect(rulesOf(await verify(reference))).toEqual(["gate.signer"]);
});

test("a signer's end does not give back the pass that its failure overtook", async () => {
  const { client, keys, directory, from } = stand;
  const file = join(directory, "two-scanners.yaml");
  const text = (await readFile(stand.policy.file, "utf8"))
    .replace("serial: 5", "serial: 6")
    .replace("signers:\n", `signers:\n${renderSigners({ second: keys.stranger.publicKey })}`)
    .replaceAll("signers: [scan]", "signers: [scan, second]");
  await writeFile(file, text);
  const bytes = Buffer.from(text);
  const policy = { policy: parsePolicy(bytes, file), uri: file, digest: digestOf(bytes), file };
  await putInForce(client, stand.to, policy, { keys });
  const image = await pushImage(client, `${from}/shop`, "overtaken");
  const scanned = (by: "scan" | "stranger", age: number, failed: boolean): Falsehoods => ({
    ...{ scan: { by, age }, scanVerdict: { by, age, failed } },
  });
  const given = { client, image, policy, keys };
  const pieces = ["scan", "scanVerdict"] as const;
  const promote = () => stand.promote(image, { policy: file });
  await attachEvidence({ ...given, falsehoods: scanned("stranger", 3 * hour, false) });
  await attachEvidence({ ...given, pieces, falsehoods: scanned("scan", 2 * hour, true) });
  expect(rulesOf(await promote())).toEqual(["gate.failed"]);
  expect((await withdraw("--signer", "scan", "--from", new Date(Date.now() - hour).toISOString())).code).toBe(0);
  expect(rulesOf(await promote())).toEqual(["gate.failed"]);

  // Its twin: judged again by whose word counts. What the other said goes along, so that it is not unsaid there.
  await attachEvidence({ ...given, pieces, falsehoods: scanned("stranger", hour, false) });
  expect(rulesOf(await promote())).toEqual([]);
  const there = await readStatements(stand, `${stand.to}/shop`, image.image.digest);
  expect(there.filter(({ statement }) => statement.predicate["verificationResult"] === "FAILED")).toHaveLength(1);
});

test.each([
  ["nothing", []],
  ["two things", ["a.example/b@sha256:0", "--base", `sha256:${"0".repeat(64)}`]],
  ["an image by its tag", ["a.example/b:1"]],
  ["a signer of all time", ["--signer", "scan"]],
  ["a signer from a day on", ["--signer", "scan", "--from", "2026-11-03"]],
  ["a base that is no digest", ["--base", "golden"]],
])("%s is not withdrawn", async (_what, args) => {
  const before = await readFile(stand.policy.file, "utf8");
  expect((await withdraw(...args)).code).toBe(2);
  expect(await readFile(stand.policy.file, "utf8")).toBe(before);
});
