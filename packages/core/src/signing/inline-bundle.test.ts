import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { makeKey, type StageKey } from "@goldenpath/testing/signers";
import { beforeAll, describe, expect, test } from "vitest";
import type { Policy } from "../policy/schema.ts";
import { verifyInline } from "./inline-bundle.ts";
import { signStatement } from "./schemes/key/sign.ts";
import { buildStatement, digestSet } from "./statement.ts";

const now = new Date("2026-11-10T12:00:00Z");
const subject = digestOf("the data");
let data: StageKey;
let other: StageKey;
beforeAll(async () => {
  [data, other] = [await makeKey(), await makeKey()];
});

const statement = () => buildStatement([{ name: "db", digest: digestSet(subject) }], "https://a.example/v1", { a: 1 });
const verify = async (
  signers: (keys: { data: StageKey; other: StageKey }) => Policy["signers"],
  { about = subject, bytes = undefined as Uint8Array | undefined } = {},
) => verifyInline(bytes ?? (await signStatement(statement(), data.signer)), about, signers({ data, other }), now);

describe("a bundle at hand counts for nothing", () => {
  test.each<[string, (keys: { data: StageKey; other: StageKey }) => Policy["signers"]]>([
    ["signed by nobody who is named", (keys) => ({ data: { publicKey: keys.other.publicKeyPem } })],
    ["where nobody is named", () => ({})],
    // So does the policy in force end the word of a signer that was withdrawn.
    [
      "whose signer's word has ended",
      (keys) => ({ data: { publicKey: keys.data.publicKeyPem, until: new Date("2026-11-10T11:59:59Z") } }),
    ],
  ])("%s", async (_name, signers) => {
    expect(await verify(signers)).toHaveProperty("problem");
  });

  test("about something else, and that is no bundle", async () => {
    const signers = (keys: { data: StageKey }) => ({ data: { publicKey: keys.data.publicKeyPem } });
    expect(await verify(signers, { about: digestOf("other data") })).toHaveProperty("problem");
    expect(await verify(signers, { bytes: Buffer.from("{}") })).toHaveProperty("problem");
  });
});

test("it counts by whom it is signed", async () => {
  const found = await verify((keys) => ({
    other: { publicKey: keys.other.publicKeyPem },
    data: { publicKey: keys.data.publicKeyPem, until: new Date("2026-11-10T12:00:01Z") },
  }));
  expect(found).toMatchObject({ signers: ["data"], subject, statement: { predicate: { a: 1 } } });
});
