import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  buildAnchor,
  buildDocumentStatement,
  type ExceptionGrant,
} from "@goldenpath/core/policy/signed-exceptions/document";
import { attachStatement } from "@goldenpath/core/signing/attach";
import type { Statement } from "@goldenpath/core/signing/types";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { gzipLayer, type LayerStand, startLayerStand } from "@goldenpath/testing/layered-image";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { makeKey, renderSigners, type StageKey } from "@goldenpath/testing/signers";
import { tarOf } from "@goldenpath/testing/tar";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";

// Ways to have a violation set aside by what is no exception of the policy's, each beside the twin that is one. A real
// registry, and real signatures.

let stand: LayerStand;
const keys = {} as Record<"security" | "lead" | "build" | "promote" | "stranger", StageKey>;
let counter = 0;
let image: string;
/** The repository that the image is in: each test has its own. */
let images: Repository;
let exceptions: Repository;

const base = gzipLayer(tarOf({ name: "etc/os-release", content: "ID=test" }));

beforeAll(async () => {
  stand = await startLayerStand();
  for (const name of ["security", "lead", "build", "promote", "stranger"] as const) keys[name] = await makeKey();
  exceptions = parseRepository(`${stand.server.host}/platform/exceptions`);
  await stand.approve([base], [], "images:\n  refuse: [root-user, committed]\n");
  const { security, lead, build, promote } = keys;
  const signers = {
    ...{ build: build.publicKeyPem, promote: promote.publicKeyPem },
    ...{ security: security.publicKeyPem, lead: lead.publicKeyPem },
  };
  const file = join(stand.directory, "policy.yaml");
  const text = (await readFile(file, "utf8")).replace(
    /^signers:\n[\s\S]*?(?=^bases:)/m,
    `signers:\n${renderSigners(signers)}`,
  );
  const section = `signedExceptions:
  repository: ${stand.server.host}/platform/exceptions
  signers:
    - signer: security
    - signer: lead
      repositories: [${stand.server.host}/quarantine/team]
      rules: [base.root-user]
      longest: 14d
`;
  await writeFile(file, text + section);
});
afterAll(() => stand.stop());

beforeEach(async () => {
  const name = `quarantine/team/shop${++counter}`;
  images = { registry: stand.server.host, name };
  image = await stand.push([base, gzipLayer(tarOf({ name: "srv/app", content: "app" }))], name, {
    config: { User: "0" },
  });
});

const day = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
const policyName = /^name: (\S+)$/m.exec(samplePolicyText)?.[1] ?? "";

function grant(change: Partial<ExceptionGrant> = {}): ExceptionGrant {
  return {
    ...{ decision: "granted", id: randomUUID(), decidedAt: new Date(), policy: policyName },
    repository: `${images.registry}/${images.name}`,
    ...{ rule: "base.root-user", reason: "it is being rebuilt", owner: "team-shop", ticket: "ACME-1" },
    ...{ starts: day(0), expires: day(5), ...change },
  };
}

/** Signs a document and puts it beside the policy, whether it would count or not. */
async function put(statement: Statement, by: StageKey, at = buildAnchor(policyName, images)): Promise<void> {
  await stand.client.pushBlob(exceptions, { mediaType: mediaTypes.ociEmpty, ...emptyBlob }, () => emptyBlob.bytes);
  await stand.client.pushManifest(exceptions, at.bytes, mediaTypes.ociManifest);
  await attachStatement(
    stand.client,
    { repository: exceptions, image: at.descriptor, children: [] },
    statement,
    by.signer,
    new Date(),
  );
}

const putGrant = (document: ExceptionGrant, by = keys.security): Promise<void> =>
  put(buildDocumentStatement(document, images), by);

async function judge(of = image) {
  const { verdict, result, code } = await stand.enforce(of);
  expect(code).toBeUndefined();
  return { verdict, result, notes: (result.notes ?? []).join("\n") };
}

describe("an exception that was granted", () => {
  test("sets the violation aside under the same policy, and is named with who granted it", async () => {
    const before = await judge();
    expect(before.verdict).toBe("fail");
    await putGrant(grant());
    const { verdict, result } = await judge();
    expect(verdict).toBe("pass");
    expect(result.policy).toEqual(before.result.policy);
    expect(result.violations.map(({ rule, exception }) => ({ rule, ...exception }))).toEqual([
      {
        ...{ rule: "base.root-user", owner: "team-shop", expires: day(5) },
        reason: "it is being rebuilt (ACME-1; granted by security)",
        ...{ thing: `${images.registry}/${images.name}`, repository: `${images.registry}/${images.name}` },
      },
    ]);
  });

  test("by a delegated signer, within what it may", async () => {
    await putGrant(grant({ expires: day(13) }), keys.lead);
    expect((await judge()).verdict).toBe("pass");
  });
});

/** [what, what the stage says of it, how it gets there]; the twin of each is `grant()`, which passes afterwards. */
test.each<[what: string, says: RegExp, forge: () => Promise<unknown>]>([
  [
    "for another repository",
    /it is for images of .*\/other/,
    async () => {
      const document = grant({ repository: `${images.registry}/quarantine/other` });
      // Its statement says that it is about this repository's anchor.
      await put(buildDocumentStatement(document, images), keys.security);
    },
  ],
  [
    "at another repository's place",
    /^$/,
    async () => {
      const other = { ...images, name: "quarantine/other" };
      const document = grant({ repository: `${images.registry}/quarantine/other` });
      await put(buildDocumentStatement(document, other), keys.security, buildAnchor(policyName, other));
    },
  ],
  [
    "of another policy",
    /it is from policy 'other', and this is/,
    async () => {
      const { subject } = buildDocumentStatement(grant(), images);
      await put({ ...buildDocumentStatement(grant({ policy: "other" }), images), subject }, keys.security);
    },
  ],
  ["that is over", /^$/, () => putGrant(grant({ starts: day(-9), expires: day(-1) }))],
  ["that begins tomorrow", /it holds from /, () => putGrant(grant({ starts: day(1) }))],
  ["by a stranger", /^$/, () => putGrant(grant(), keys.stranger)],
  ["by a signer who grants nothing", /^$/, () => putGrant(grant(), keys.build)],
  [
    "of a time that has not come",
    /has not come/,
    () => putGrant(grant({ decidedAt: new Date(Date.now() + 3_600_000) })),
  ],
  [
    "for longer than is granted at most",
    /may grant exceptions for 90 days, and this is for 91/,
    () => putGrant(grant({ expires: day(90) })),
  ],
  [
    "for longer than is delegated",
    /'lead' may grant exceptions for 14 days, and this is for 15/,
    () => putGrant(grant({ expires: day(14) }), keys.lead),
  ],
  ["of another rule", /^$/, () => putGrant(grant({ rule: "base.committed" }))],
  [
    "of a rule that is not delegated",
    /'lead' may not set base\.committed aside/,
    () => putGrant(grant({ rule: "base.committed" }), keys.lead),
  ],
  [
    "that was taken back",
    /it was withdrawn on .*: mended/,
    async () => {
      const document = grant();
      await putGrant(document);
      await withdraw(document);
    },
  ],
  [
    "that was taken back by a signer who may grant less",
    /it was withdrawn on/,
    async () => {
      const document = grant();
      await putGrant(document);
      await withdraw(document, keys.lead);
    },
  ],
  [
    "that was taken back before it was put there again",
    /it was withdrawn on/,
    async () => {
      const document = grant();
      await withdraw(document);
      await putGrant(document);
      await putGrant(document);
    },
  ],
])("%s counts for nothing, and the one as it should be does", async (_what, says, forge) => {
  await forge();
  const { verdict, notes } = await judge();
  expect(verdict).toBe("fail");
  expect(notes).toMatch(says);
  await putGrant(grant());
  expect((await judge()).verdict).toBe("pass");
});

function withdraw({ id, policy, repository }: ExceptionGrant, by = keys.security): Promise<void> {
  const document = { decision: "withdrawn" as const, id, policy, repository, decidedAt: new Date(), reason: "mended" };
  return put(buildDocumentStatement(document, images), by);
}

test("a delegated signer is held to the repositories below, by component", async () => {
  const name = "quarantine/team2/shop";
  const elsewhere = { registry: images.registry, name };
  const of = await stand.push([base, gzipLayer(tarOf({ name: "srv/app", content: "2" }))], name, {
    config: { User: "0" },
  });
  const document = grant({ repository: `${images.registry}/${name}` });
  await put(buildDocumentStatement(document, elsewhere), keys.lead, buildAnchor(policyName, elsewhere));
  const { verdict, notes } = await judge(of);
  expect(verdict).toBe("fail");
  expect(notes).toContain("'lead' may grant exceptions for");
  await put(buildDocumentStatement(document, elsewhere), keys.security, buildAnchor(policyName, elsewhere));
  expect((await judge(of)).verdict).toBe("pass");
});

test("one whose signed words were changed counts for nothing, and as it was signed it does", async () => {
  await putGrant(grant({ expires: day(-1), starts: day(-2) }));
  const { descriptor } = buildAnchor(policyName, images);
  const [referrer] = await stand.client.listReferrers(exceptions, descriptor.digest);
  if (referrer === undefined) throw new Error("nothing is there");
  const { bytes } = await stand.client.fetchManifest({ ...exceptions, digest: referrer.digest });
  const manifest = JSON.parse(Buffer.from(bytes).toString()) as { layers: { digest: string; size: number }[] };
  const [layer] = manifest.layers;
  if (layer === undefined) throw new Error("no bundle");
  const bundle = await stand.client.fetchBlob(exceptions, layer as never, 1e6);
  const envelope = JSON.parse(Buffer.from(bundle).toString()) as { dsseEnvelope: { payload: string } };
  const payload = Buffer.from(envelope.dsseEnvelope.payload, "base64").toString().replace(day(-1), day(5));
  envelope.dsseEnvelope.payload = Buffer.from(payload).toString("base64");
  const forged = Buffer.from(JSON.stringify(envelope));
  layer.digest = digestOf(forged);
  layer.size = forged.byteLength;
  await stand.client.pushBlob(exceptions, layer as never, () => forged);
  await stand.client.pushManifest(exceptions, Buffer.from(JSON.stringify(manifest)), mediaTypes.ociManifest);
  expect((await stand.client.listReferrers(exceptions, descriptor.digest)).length).toBe(2);
  expect((await judge()).verdict).toBe("fail");
  await putGrant(grant());
  expect((await judge()).verdict).toBe("pass");
});

test("where a signer's document can't be read, none counts: it may take one back", async () => {
  await putGrant(grant());
  expect((await judge()).verdict).toBe("pass");
  const statement = buildDocumentStatement(grant(), images);
  await put({ ...statement, predicate: { decision: "revoked", id: "x" } }, keys.lead);
  const { verdict, notes } = await judge();
  expect(verdict).toBe("fail");
  expect(notes).toContain("no signed exception counts");
});

describe("goldenpath exception", () => {
  const run = (...args: string[]) =>
    runMain(
      ...["exception", ...args, "--policy", join(stand.directory, "policy.yaml")],
      ...["--repository", `${images.registry}/${images.name}`],
    );
  const asked = (by: StageKey, ...more: string[]) =>
    run(
      ...["grant", "--rule", "base.root-user", "--reason", "being rebuilt", "--owner", "team-shop"],
      ...[`--key=${by.privateKeyPem}`, ...more],
    );

  test("grants, lists and takes back", async () => {
    const granted = await asked(keys.lead, "--expires", day(3), "--ticket", "ACME-2");
    expect(granted).toMatchObject({ code: 0, err: "" });
    const [id = ""] = granted.out.split(":");
    expect((await judge()).verdict).toBe("pass");
    expect((await run("list")).out).toContain(`${id} base.root-user`);
    const taken = await run("withdraw", id, "--reason", "rebuilt", `--key=${keys.lead.privateKeyPem}`);
    expect(taken).toMatchObject({ code: 0 });
    expect((await run("list")).out).toContain("does not count: it was withdrawn");
    expect((await judge()).verdict).toBe("fail");
  });

  test.each<[what: string, by: () => StageKey, args: () => string[], says: string]>([
    ["what its signer may not", () => keys.lead, () => ["--expires", day(40)], "may grant exceptions for 14 days"],
    [
      "by whom nobody has named",
      () => keys.stranger,
      () => ["--expires", day(3)],
      "none of the signers whose exceptions count",
    ],
    ["what is over", () => keys.security, () => ["--starts", day(-5), "--expires", day(-1)], "is over"],
    ["without an end", () => keys.security, () => [], "this is no exception"],
  ])("signs nothing: %s", async (_what, by, args, says) => {
    const { code, err } = await asked(by(), ...args());
    expect(code).toBe(2);
    expect(err).toContain(says);
    expect((await run("list")).out).toContain("no exception is signed");
  });
});
