import { attachStatement } from "@goldenpath/core/signing/attach";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import type { SignerTimes } from "@goldenpath/core/signing/signer-times";
import type { Signer } from "@goldenpath/core/signing/types";
import { type EvidenceRegistry, startEvidenceRegistry, statementAbout } from "@goldenpath/testing/evidence-registry";
import { parseText, refusalOf, sampleWith } from "@goldenpath/testing/policy-refusal";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expectRefused, passed } from "../support/gate-answers.ts";
import { honest, judge, policy, readPolicy, signAs, useKeylessWorld } from "../support/keyless-world.ts";

// A signer that was found bad: what it had signed before still counts where somebody else says when that was, and what
// is signed with it since, or says so itself, does not.

useKeylessWorld();

let registry: EvidenceRegistry;
let key: StageKey;
let other: StageKey;
beforeAll(async () => {
  registry = await startEvidenceRegistry(true);
  [key, other] = [await makeKey(), await makeKey()];
});
afterAll(() => registry?.close());

const day = 86_400_000;
const later = (time: Date, milliseconds: number): Date => new Date(time.getTime() + milliseconds);

/** Collects what was signed as a policy whose signer `base` has these times would, looked at `now`. */
async function collect(signer: Signer, own: object) {
  const { repository, image } = await registry.newImage();
  const statement = statementAbout(repository, [image.digest]);
  await attachStatement(registry.client, { repository, image, children: [] }, statement, signer, new Date());
  return async (times: SignerTimes, now: Date, more: object = {}) => {
    const signers = { base: { ...own, ...times }, ...more } as never;
    const { statements, lapsed, rejected } = await collectEvidence(registry.client, repository, image.digest, signers, {
      now,
    });
    const [first] = statements;
    return {
      signers: first?.signers,
      time: first?.time,
      lapsed: lapsed.map((each) => each.signers),
      why: rejected.map(({ reason, isByNobody }) => [reason, isByNobody]),
    };
  };
}

describe("a workflow's, of a verified time", () => {
  test("counts before `until` by that time, however late it is looked at, and not from then on", async () => {
    const look = await collect(signAs(honest), policy.policy.signers["base"] ?? {});
    const late = later(new Date(), 9 * day);
    const { time } = await look({}, late);
    if (time === undefined) throw new Error("no verified time");
    expect((await look({ until: later(time, 1) }, late)).signers).toEqual(["base"]);
    expect((await look({ from: time, until: later(time, 1) }, late)).signers).toEqual(["base"]);
    const told = `whose word counts until ${time.toISOString().replace(".000Z", "Z")}, and it was signed at`;
    expect(await look({ until: time }, late)).toMatchObject({
      signers: undefined,
      lapsed: [["base"]],
      why: [[expect.stringContaining(told), true]],
    });
    expect((await look({ from: later(time, 1) }, late)).signers).toBeUndefined();
  });

  test("is refused by the gate with the reason, beside its twin", async () => {
    const until = (time: Date) =>
      readPolicy((text) => text.replace("    environment:", `    until: "${time.toISOString()}"\n    environment:`));
    await expectRefused(
      judge({}, until(later(new Date(), -day))),
      /gate\.signer: .*signed by 'base', whose word counts until .*and it was signed at/,
    );
    expect(await judge({}, until(later(new Date(), day)))).toEqual(passed);
  });
});

describe("a key's, which nobody dates", () => {
  test("counts for nothing from `until` on, whatever it says of itself", async () => {
    const look = await collect(key.signer, { publicKey: key.publicKeyPem });
    const end = later(new Date(), day);
    expect((await look({ until: end }, later(end, -1))).signers).toEqual(["base"]);
    const why = [[expect.stringContaining("nobody else says when it was signed"), true]];
    expect(await look({ until: end }, end)).toMatchObject({ signers: undefined, why });
    expect(await look({ from: end }, later(end, -1))).toMatchObject({ signers: undefined, why });
    expect((await look({ from: end }, end)).signers).toEqual(["base"]);
  });

  test("is nobody's else because of that", async () => {
    const look = await collect(key.signer, { publicKey: other.publicKeyPem });
    const now = new Date();
    const old = { publicKey: key.publicKeyPem };
    expect(await look({}, now, { old })).toMatchObject({ signers: ["old"], lapsed: [] });
    expect((await look({}, now, { old: { ...old, until: now } })).lapsed).toEqual([["old"]]);
  });
});

test.each([
  ["with a day", '    until: "2026-11-03"\n', /expected a time in UTC, such as 2026-11-03T00:00:00Z/],
  ["with a time of some zone", '    until: "2026-11-03T00:00:00+01:00"\n', /expected a time in UTC/],
  [
    "that ends before it begins",
    '    from: "2026-11-03T00:00:00Z"\n    until: "2026-11-02T00:00:00Z"\n',
    /is not after `from`/,
  ],
  [
    "that ends as it begins",
    '    from: "2026-11-03T00:00:00Z"\n    until: "2026-11-03T00:00:00Z"\n',
    /is not after `from`/,
  ],
])("a policy has no signer %s", (_what, lines, message) => {
  expect(refusalOf(sampleWith("  build:\n", `  build:\n${lines}`)).message).toMatch(message);
});

test.each(["from", "until"])("whoever puts policies in force has no `%s`, which would do nothing", (field) => {
  const text = (line: string): string =>
    sampleWith(
      "signers:\n",
      `activators: [platform]\nsigners:\n  platform:\n${line}    publicKey: ${JSON.stringify(key.publicKeyPem)}\n`,
    );
  const { message } = refusalOf(text(`    ${field}: "2026-11-03T00:00:00Z"\n`));
  expect(message).toContain(`signers.platform.${field}: 'platform' puts policies in force, and so has no \`${field}\``);
  expect(parseText(text("")).activators).toEqual(["platform"]);
});
