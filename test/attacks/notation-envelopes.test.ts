import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { describe, expect, test } from "vitest";
import { honestSubject, type SignatureFalsehood } from "../support/constructed-notary.ts";
import { expectRefused, passed } from "../support/gate-answers.ts";
import { judge, policy, readPolicy, untimed, useNotationWorld } from "../support/notation-world.ts";

// Notary Project signatures that two readers would read differently, that are of something else or over: each is refused
// by the gate, beside its twin that differs in nothing else and passes.

useNotationWorld();

const minute = 60_000;
const day = 24 * 60 * minute;
const signingScheme = "io.cncf.notary.signingScheme";
const expiry = "io.cncf.notary.expiry";

/** What is refused, what the gate says of it, and what passes. */
type Pair = [what: string, falsehood: SignatureFalsehood, says: RegExp, twin: SignatureFalsehood];
const honest: SignatureFalsehood = {};
const doubleLayers = (manifest: Fields): void => {
  const [layer] = manifest["layers"] as unknown[];
  manifest["layers"] = [layer, layer];
};
type Fields = Record<string, unknown>;
const set =
  (name: string, value: unknown) =>
  (fields: Fields): void => {
    fields[name] = value;
  };
const ofTarget =
  (name: string, value: unknown) =>
  ({ targetArtifact }: { targetArtifact: Fields }): void =>
    set(name, value)(targetArtifact);

describe("an envelope that says something else than is signed, or two things", () => {
  const expires: SignatureFalsehood = { expiresIn: 3600 };
  const crit =
    (...names: string[]) =>
    (head: Record<string, unknown>) => {
      head["crit"] = names;
    };
  test.each<Pair>([
    [
      "`crit` stripped",
      {
        head: (head) => {
          delete head["crit"];
        },
      },
      /protected header is malformed:.* at crit/,
      honest,
    ],
    ["`crit` without the scheme", { ...expires, head: crit(expiry) }, /`crit` is/, expires],
    ["`crit` without the expiry", { ...expires, head: crit(signingScheme) }, /`crit` is/, expires],
    ["`crit` of what is not there", { head: crit(signingScheme, expiry) }, /`crit` is/, expires],
    ["`crit` twice", { head: crit(signingScheme, signingScheme) }, /`crit` is/, honest],
    [
      "a critical attribute that nobody knows",
      {
        head: (head) => {
          head["crit"] = [signingScheme, "io.cncf.notary.verificationPlugin"];
          head["io.cncf.notary.verificationPlugin"] = "x";
        },
      },
      /protected header is malformed/,
      honest,
    ],
    [
      "an attribute that nobody knows",
      {
        head: (head) => {
          head["x"] = 1;
        },
      },
      /protected header is malformed/,
      honest,
    ],
    [
      "an attribute of before its protected ones",
      {
        header: (header) => {
          header["alg"] = "none";
        },
      },
      /envelope is malformed/,
      honest,
    ],
    ["`alg` none", { head: set("alg", "none") }, /malformed:.* at alg/, honest],
    ["`alg` HS256", { head: set("alg", "HS256") }, /malformed:.* at alg/, honest],
    ["`alg` of another key", { head: set("alg", "PS256") }, /it says PS256.* signs with ES256/, honest],
    ["`alg` of another curve", { head: set("alg", "ES384") }, /it says ES384/, { chain: { keys: "P-384" } }],
    ["another payload type", { head: set("cty", "application/json") }, /malformed:.* at cty/, honest],
    ["another scheme", { head: set(signingScheme, "notary.x509.signingAuthority") }, /malformed/, honest],
    [
      "a key twice in the protected header",
      { headText: (text) => text.replace('{"alg"', '{"alg":"ES512","alg"') },
      /"alg" is there twice/,
      honest,
    ],
    [
      "a key twice in the envelope",
      { text: (text) => text.replace('{"payload"', '{"payload":"e30","payload"') },
      /twice/,
      honest,
    ],
    [
      "base64 that says something twice",
      { envelope: (envelope) => set("signature", `${envelope["signature"]}=`)(envelope) },
      /envelope is malformed:.* at signature/,
      honest,
    ],
    ["a signature of something else", { signs: "x.y" }, /signature does not hold/, honest],
    [
      "a payload that was changed",
      {
        envelope: (envelope) => {
          const payload = JSON.parse(Buffer.from(envelope["payload"] as string, "base64url").toString());
          payload.targetArtifact.annotations["more"] = "x";
          envelope["payload"] = Buffer.from(JSON.stringify(payload)).toString("base64url");
        },
      },
      /signature does not hold/,
      {
        payload: ({ targetArtifact }) => set("more", "x")(targetArtifact["annotations"] as Fields),
      },
    ],
    ["something beside the target", { payload: set("more", 1) }, /payload is malformed/, honest],
    [
      "something on its wrapping",
      { manifest: (manifest) => set("x", "y")(manifest["annotations"] as Fields) },
      /annotations that are not a signature's/,
      {
        manifest: (manifest) =>
          set("io.cncf.notary.x509chain.thumbprint#S256", "[]")(manifest["annotations"] as Fields),
      },
    ],
    [
      "COSE's type on it",
      {
        manifest: (manifest) => set("mediaType", "application/cose")((manifest["layers"] as Fields[])[0] ?? {}),
      },
      /application\/cose/,
      honest,
    ],
    ["two envelopes", { manifest: doubleLayers }, /2 layers/, honest],
  ])("%s", async (_what, falsehood, says, twin) => {
    await expectRefused(judge(falsehood), says);
    expect(await judge(twin)).toEqual(passed);
  });
});

describe("what it is of", () => {
  const digest = `sha256:${"0".repeat(64)}`;
  const say =
    (name: string, value: string | undefined): SignatureFalsehood["payload"] =>
    ({ targetArtifact }) => {
      const annotations = targetArtifact["annotations"] as Record<string, string>;
      if (value === undefined) delete annotations[name];
      else annotations[name] = value;
    };
  test.each<Pair>([
    ["another image", { payload: ofTarget("digest", digest) }, /another image/, honest],
    ["an image of another size", { payload: ofTarget("size", 1) }, /another image/, honest],
    ["an image of another type", { payload: ofTarget("mediaType", "text/plain") }, /another image/, honest],
    ["no statement", { payload: say("goldenpath.statement", undefined) }, /names no statement/, honest],
    ["a statement that is not there", { payload: say("goldenpath.statement", digest) }, /is not there/, honest],
    [
      "a statement that was put in its place",
      { statement: (bytes) => Buffer.concat([bytes, Buffer.from(" ")]) },
      /is not there/,
      { statement: (bytes) => bytes },
    ],
    ["a statement with something beside it", { holder: doubleLayers }, /is not there/, honest],
    [
      "a type that is not the statement's",
      { payload: say("goldenpath.predicateType", predicateTypes.cyclonedx) },
      /goldenpath\.predicateType is/,
      { payload: say("goldenpath.predicateType", undefined) },
    ],
    [
      "a stage that is not the statement's",
      { payload: say("goldenpath.stage", "scan") },
      /goldenpath\.stage is scan, and that of the statement base/,
      { payload: say("goldenpath.stage", "base") },
    ],
  ])("%s", async (_what, falsehood, says, twin) => {
    await expectRefused(judge(falsehood), says);
    expect(await judge(twin)).toEqual(passed);
  });
});

describe("when it was signed", () => {
  test.each<Pair>([
    ["no timestamp", { timestamp: "none" }, /gate\.signer.*has no timestamp/, honest],
    ["a stranger's timestamp", { timestamp: "foreign" }, /gate\.signer.*none that the policy trusts/, honest],
    [
      "another signature's timestamp",
      { timestamp: "of another signature" },
      /something else than this signature/,
      honest,
    ],
    ["a timestamp of the future", { timestamp: "in the future" }, /gate\.future/, honest],
    ["a timestamp without its authority", { timestamp: "without certificates" }, /certificate is not in it/, honest],
    ["a timestamp of nothing", { timestamp: "malformed" }, /timestamp does not hold: it is malformed/, honest],
    ["a timestamp whose time was changed", { timestamp: "changed" }, /timestamp does not hold/, honest],
    [
      "a certificate that was over",
      { chain: { validity: [-day, -minute] } },
      /did not hold when it was signed/,
      honest,
    ],
    [
      "a certificate that is not yet",
      { chain: { validity: [day, 2 * day] } },
      /did not hold when it was signed/,
      honest,
    ],
    ["an expiry before its signing", { expiresIn: -1 }, /expires before/, { expiresIn: 3600 }],
  ])("%s", async (_what, falsehood, says, twin) => {
    await expectRefused(judge(falsehood), says);
    expect(await judge(twin)).toEqual(passed);
  });

  test("it holds until it expires, and not after that", async () => {
    const signed = { expiresIn: 600 };
    await expectRefused(judge(signed, policy, 11 * minute), /gate\.missing.*its signature held until/);
    expect(await judge(signed, policy, 9 * minute)).toEqual(passed);
  });

  test("a failure that has expired still refuses what it is newer than", async () => {
    const [short, long] = [{ expiresIn: 600 }, { expiresIn: 3600 }];
    await expectRefused(judge(long, policy, 11 * minute, short), /gate\.failed: .*has ended since/);
    await expectRefused(judge(long, policy, 9 * minute, short), /gate\.failed: the newest verdict/);
    expect(await judge(long, policy, 11 * minute)).toEqual(passed);
  });

  test("with a timestamp it outlives its certificate, and without one it doesn't", async () => {
    const chain = { validity: [-minute, 10 * minute] as const };
    const none = { chain, timestamp: "none" } as const;
    await expectRefused(judge(none, untimed, 11 * minute), /gate\.missing.*its signature held until/);
    expect(await judge(none, untimed, 9 * minute)).toEqual(passed);
    expect(await judge({ chain }, policy, 11 * minute)).toEqual(passed);
  });

  test("without timestamps a certificate counts from its first moment on", async () => {
    const none = { chain: { validity: [10 * minute, day] }, timestamp: "none" } as const;
    await expectRefused(judge(none, untimed), /gate\.missing.*its signature holds from/);
    expect(await judge(none, untimed, 11 * minute)).toEqual(passed);
  });

  test("a signer's end is told by the timestamp, and without one by now", async () => {
    const until = (text: string, hours: number): string =>
      text.replace(
        "    identity:",
        `    until: "${new Date(Date.now() + hours * 60 * minute).toISOString()}"\n    identity:`,
      );
    const over = readPolicy((text) => until(text, -1));
    await expectRefused(judge({}, over), /gate\.signer.*whose word counts until/);
    const soon = readPolicy((text) => until(text, 1));
    expect(await judge({}, soon)).toEqual(passed);
  });

  test("a timestamp that nobody asks for is not read", async () => {
    expect(await judge({ timestamp: "foreign" }, untimed)).toEqual(passed);
  });

  test("a policy that has signatures expire takes none that holds longer", async () => {
    const short = readPolicy((text) => text.replace("    identity:", "    validity: 1h\n    identity:"));
    await expectRefused(judge({ expiresIn: 3700 + 300 }, short), /gate\.signer.*longer than the policy/);
    await expectRefused(judge({}, short), /gate\.signer.*does not expire/);
    expect(await judge({ expiresIn: 3500 }, short)).toEqual(passed);
    const untimedShort = readPolicy((text) =>
      text
        .replace(/ {4}timestamp:\n[\s\S]*?(?=signers:)/, "")
        .replace("    identity:", "    validity: 1h\n    identity:"),
    );
    const late = (head: Record<string, unknown>) => {
      head["io.cncf.notary.signingTime"] = head[expiry];
    };
    await expectRefused(judge({ expiresIn: 3700 }, untimedShort), /longer than the policy/);
    await expectRefused(judge({ expiresIn: 3500, head: late }, untimedShort), /expires before/);
    expect(await judge({ expiresIn: 3500 }, untimedShort)).toEqual(passed);
  });
});

describe("a policy that would take more than its owners can mean is refused", () => {
  test.each<[string, (text: string) => string, string]>([
    [
      "any identity",
      (text) => text.replace(`x509.subject: ${honestSubject}`, "*"),
      "signers.base.identity: is no identity",
    ],
    [
      "half a name",
      (text) => text.replace(", O=acme, CN=base", ""),
      "signers.base.identity: is no identity: O: missing",
    ],
    ["an attribute twice", (text) => text.replace("CN=base", "CN=base, CN=x"), "CN is there twice"],
    ["two in one place", (text) => text.replace("CN=base", "CN=base+OU=x"), "the value of CN"],
    ["an attribute that nobody knows", (text) => text.replace("CN=base", "EMAIL=base"), "'EMAIL' is no attribute"],
    [
      "a store that is not there",
      (text) => text.replace("trustStore: acme", "trustStore: other"),
      "'other' is no trust store",
    ],
    [
      "a store of nothing",
      (text) => text.replace(/certificates: \|\n {6}-----BEGIN[\s\S]*?END CERTIFICATE-----\n/, "certificates: x\n"),
      "trustStores.acme.certificates: expected certificates in PEM",
    ],
    [
      "a store with something else in it",
      (text) => text.replace("      -----END CERTIFICATE-----\n", "      -----END CERTIFICATE-----\n      more\n"),
      "trustStores.acme.certificates: a certificate of it can't be taken",
    ],
    [
      "one identity twice, in another order",
      (text) =>
        text.replace(
          "environments:\n",
          '  scan:\n    kind: notation\n    trustStore: acme\n    identity: "x509.subject: CN=base,O=acme,S=Berlin,C=DE"\nenvironments:\n',
        ),
      "signers.scan.identity: is the identity of 'base' as well",
    ],
    [
      "one that puts policies in force",
      (text) => text.replace("signers:\n", "activators: [base]\nsigners:\n"),
      "'base' is of kind notation",
    ],
  ])("%s", async (_what, change, message) => {
    expect(() => readPolicy(change)).toThrow(message);
  });
});
