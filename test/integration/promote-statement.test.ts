import { attachStatement } from "@goldenpath/core/signing/attach";
import type { Statement } from "@goldenpath/core/signing/types";
import { summaryExtension } from "@goldenpath/core/signing/verification-summary";
import { stageVerifierId } from "@goldenpath/core/stages";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { attachEvidence, inRepository, pushIndex, type TestImage, transplantEvidence } from "@goldenpath/testing/chain";
import type { KeyName } from "@goldenpath/testing/chain-keys";
import { openStand, promoteWhole, promotionsAmong, readStatements, type Stand } from "@goldenpath/testing/promotion";
import { afterEach, describe, expect, test } from "vitest";

let stand: Stand;
afterEach(() => stand.close());

async function stageIndex(): Promise<TestImage> {
  const { client, policy, keys } = stand;
  const image = await pushIndex(client, `${stand.from}/shop`);
  await attachEvidence({ client, image, policy, keys });
  return image;
}

describe("the promotion's own statement", () => {
  /** Takes the promotion's referrer of a manifest away, and returns what it stated. */
  async function takeAway(subject: string): Promise<Statement> {
    const [promotion] = promotionsAmong(await readStatements(stand, `${stand.to}/shop`, subject as Digest));
    if (promotion === undefined) throw new TypeError("no promotion");
    await fetch(`${stand.vetted.url}/v2/vetted/shop/manifests/${promotion.referrer}`, { method: "DELETE" });
    return promotion.statement;
  }
  const edit = (...path: string[]) => {
    return (statement: Statement, value: unknown): void => {
      let at = statement.predicate;
      for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
      at[path.at(-1) ?? ""] = value;
    };
  };
  const inputsOf = ({ predicate }: Statement): unknown[] => predicate["inputAttestations"] as unknown[];

  test.each<[string, KeyName, (statement: Statement) => void]>([
    ["signed by another stage", "scan", () => undefined],
    ["signed by somebody whom the policy does not know", "stranger", () => undefined],
    ["that says FAILED", "promote", (statement) => edit("verificationResult")(statement, "FAILED")],
    ["of another policy's serial", "promote", (statement) => edit(summaryExtension, "policySerial")(statement, 4)],
    ["for another environment", "promote", (statement) => edit(summaryExtension, "environment")(statement, "staging")],
    [
      "for no environment",
      "promote",
      (statement) => {
        delete (statement.predicate[summaryExtension] as Record<string, unknown>)["environment"];
      },
    ],
    [
      "made more than a day ago",
      "promote",
      (statement) => edit("timeVerified")(statement, new Date(Date.now() - 24 * 3_600_000 - 1).toISOString()),
    ],
    [
      "from the future",
      "promote",
      (statement) => edit("timeVerified")(statement, new Date(Date.now() + 3_600_000).toISOString()),
    ],
    ["of another policy", "promote", (statement) => edit("policy", "digest")(statement, { sha256: "0".repeat(64) })],
    ["of another stage", "promote", (statement) => edit("verifier", "id")(statement, stageVerifierId("scan"))],
    [
      "that rests on less",
      "promote",
      (statement) => edit("inputAttestations")(statement, inputsOf(statement).slice(1)),
    ],
    [
      "that rests on more",
      "promote",
      (statement) =>
        edit("inputAttestations")(statement, [
          ...inputsOf(statement),
          { uri: "x:y", digest: { sha256: "0".repeat(64) } },
        ]),
    ],
    [
      "that rests on something else",
      "promote",
      (statement) =>
        edit("inputAttestations")(statement, [
          ...inputsOf(statement).slice(1),
          { uri: "x:y", digest: { sha256: "0".repeat(64) } },
        ]),
    ],
  ])("one %s does not stand for it", async (_what, by, change) => {
    stand = await openStand();
    const image = await stand.stageImage();
    await promoteWhole(stand, image);
    const stated = await takeAway(image.digest);
    const other = structuredClone(stated);
    change(other);
    const there = inRepository(image, `${stand.to}/shop`);
    const forged = await attachStatement(stand.client, there, other, stand.keys[by].signer, new Date());
    const { outcome } = await stand.promote(image);
    expect(outcome.verdict).toBe("pass");
    expect(outcome.result.notes).toContain("the promotion is signed");
    const others = await readStatements(stand, `${stand.to}/shop`, image.digest);
    const [promotion, ...more] = promotionsAmong(others.filter(({ referrer }) => referrer !== forged.referrer.digest));
    expect(more).toEqual([]);
    expect(promotion?.signers).toEqual(["promote"]);
    const { timeVerified: _then, ...predicate } = stated.predicate;
    expect(promotion?.statement.predicate).toMatchObject(predicate);
  });

  test("one of the day stands for it", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    await promoteWhole(stand, image);
    const stated = await takeAway(image.digest);
    edit("timeVerified")(stated, new Date(Date.now() - 23 * 3_600_000).toISOString());
    await attachStatement(
      stand.client,
      inRepository(image, `${stand.to}/shop`),
      stated,
      stand.keys.promote.signer,
      new Date(),
    );
    expect((await stand.promote(image)).outcome.result.notes).toContain("the promotion was signed before");
  });

  test("one after which another was made under another policy does not: a gate takes the newest alone", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    await promoteWhole(stand, image);
    const [promotion] = promotionsAmong(await readStatements(stand, `${stand.to}/shop`, image.digest));
    const later = structuredClone(promotion?.statement ?? expect.unreachable());
    edit(summaryExtension, "policySerial")(later, 6);
    edit("timeVerified")(later, new Date(Date.now() + 1000).toISOString());
    await attachStatement(
      stand.client,
      inRepository(image, `${stand.to}/shop`),
      later,
      stand.keys.promote.signer,
      new Date(),
    );
    expect((await stand.promote(image)).outcome.result.notes).toContain("the promotion is signed");
  });

  test("one of the same image as another one, which somebody has put beside it, does not", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    const cart = `${stand.to}/cart`;
    expect((await stand.promote(image, { to: cart })).outcome.verdict).toBe("pass");
    await transplantEvidence(stand.client, inRepository(image, cart), image);
    const { outcome } = await stand.promote(image);
    expect(outcome.verdict).toBe("pass");
    expect(outcome.result.notes).toContain("the promotion is signed");
    const stated = promotionsAmong(await readStatements(stand, `${stand.to}/shop`, image.digest));
    expect(stated.map(({ statement }) => statement.subject[0]?.name).toSorted()).toEqual([cart, `${stand.to}/shop`]);
    expect((await stand.promote(image)).outcome.result.notes).toContain("the promotion was signed before");
  });

  test("it names its environment: a promotion into another one is stated beside it", async () => {
    stand = await openStand();
    const image = await stand.stageImage();
    await promoteWhole(stand, image);
    expect((await stand.promote(image, { environment: "staging" })).outcome.result.notes).toContain(
      "the promotion is signed",
    );
    const stated = promotionsAmong(await readStatements(stand, `${stand.to}/shop`, image.digest)).map(
      ({ statement }) => (statement.predicate[summaryExtension] as { environment?: string }).environment,
    );
    expect(stated.toSorted()).toEqual(["production", "staging"]);
  });

  test("one that a child of the index has lost is made again", async () => {
    stand = await openStand();
    const image = await stageIndex();
    await promoteWhole(stand, image);
    const lost = image.children[1]?.digest ?? image.digest;
    await takeAway(lost);
    expect((await stand.promote(image)).outcome.verdict).toBe("pass");
    expect(promotionsAmong(await readStatements(stand, `${stand.to}/shop`, lost))).toHaveLength(1);
  });

  test("it names the image, each child that runs, and every statement that was accepted", async () => {
    stand = await openStand();
    const image = await stageIndex();
    await promoteWhole(stand, image);
    const statements = await readStatements(stand, `${stand.to}/shop`, image.digest);
    const [promotion] = promotionsAmong(statements);
    const digests = [image.digest, ...image.children.map((child) => child.digest)];
    expect(promotion?.statement.subject).toEqual(
      digests.map((digest) => ({ name: `${stand.to}/shop`, digest: { sha256: digestHex(digest) } })),
    );
    const accepted = inputsOf(promotion?.statement ?? expect.unreachable()) as {
      uri: string;
      digest: { sha256: string };
    }[];
    const referrers: string[] = [];
    for (const digest of digests) {
      const there = await readStatements(stand, `${stand.to}/shop`, digest);
      referrers.push(
        ...there
          .map(({ referrer }) => referrer)
          .filter((each) => !promotionsAmong(there).some(({ referrer }) => referrer === each)),
      );
    }
    expect(accepted.map(({ uri }) => uri.slice(uri.indexOf("@") + 1)).toSorted()).toEqual(referrers.toSorted());
  });
});
