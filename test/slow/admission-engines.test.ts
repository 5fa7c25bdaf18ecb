import { X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { makeKey } from "@goldenpath/testing/signers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type AdmissionEngine,
  createKyverno,
  createPolicyController,
  type Question,
  type Signatory,
} from "../support/admission-engines.ts";
import { type ConstructedNotary, constructNotary } from "../support/constructed-notary.ts";
import { type RealSigstore, sigstoreTools, startSigstore } from "../support/real-sigstore.ts";
import {
  type Built,
  execute,
  newImage,
  policyBytes,
  resultOf,
  root,
  useSigningPath,
  writeResult,
} from "../support/signing-path.ts";
import { useTools } from "../support/tools.ts";

// Which form of what the stages sign which admission engine reads: each engine's own check, of the same image, of each
// form, with the right signer in its policy and with another. docs/admission-engines.md has the answers as a table, which
// this test writes (`npm run test:slow -- admission-engines -u`) and holds.

const tools = useTools(...sigstoreTools, "policy-controller-0.13", "policy-controller-0.14", "kyverno");
useSigningPath();

const workflow = "https://github.com/acme/platform/.github/workflows/stage-base.yml";
const subject = "C=DE, ST=Berlin, O=acme, CN=base";
let sigstore: RealSigstore;
let notary: ConstructedNotary;
beforeAll(async () => {
  sigstore = await startSigstore(tools);
  notary = await constructNotary();
}, 300_000);
afterAll(() => sigstore?.close());

/** A way in which a stage's evidence lies beside its image. */
interface Form {
  title: string;
  form: Question["form"];
  /** What is asked for: cosign's older form has both, the Notary Project knows signatures alone. */
  asks: readonly ("attestation" | "signature")[];
  /** Signs the stage base of an image. */
  sign(image: Built): Promise<void>;
  right(): Promise<Signatory>;
  wrong(): Promise<Signatory>;
}

const at = (name: string): string => join(root, name);

async function sign(image: Built, policy: string, inputs: Record<string, string>, variables = {}): Promise<void> {
  await writeFile(at("engines.yaml"), policy);
  const made = { policy: { uri: "engines.yaml", digest: digestOf(await readFile(at("engines.yaml"))), serial: 7 } };
  const results = await writeResult(resultOf("base", image, "pass", made));
  const raw = { image: image.reference, results, policy: "engines.yaml", ...inputs };
  const { outcome } = await execute(signVerb as Verb, raw, undefined, variables);
  if (outcome.verdict !== "pass") throw new Error(JSON.stringify(outcome.result.error));
}

const policyWith = (more: string): string => new TextDecoder().decode(policyBytes).replace("signers:\n", more);
const indent = (pem: string, width: number): string => pem.trim().replaceAll(/^/gm, " ".repeat(width));

function keylessPolicy(proof: "log" | "timestamp"): string {
  const { fulcio, rekor, timestamp, trustedRoot, issuer } = sigstore;
  return policyWith(
    [
      "sigstore:",
      "  own:",
      `    proof: ${proof}`,
      `    fulcio: ${fulcio}`,
      ...(proof === "log" ? [`    rekor: ${rekor}`] : []),
      `    timestamp: ${timestamp}`,
      "    privateNames: true",
      `    trustedRoot: '${JSON.stringify(JSON.parse(trustedRoot))}'`,
      "signers:",
      "  by-workflow:",
      "    kind: keyless",
      "    sigstore: own",
      `    issuer: ${issuer.url}`,
      `    workflow: ${workflow}`,
      `    at: ["${"c".repeat(40)}"]`,
      '    ownerId: "4321"',
      '    repositories: ["https://github.com/acme/*"]',
      "",
    ].join("\n"),
  );
}

const keyless = (
  proof: "log" | "timestamp",
  more: { ignoresCertificateLog?: boolean } = {},
): Pick<Form, "form" | "asks" | "sign" | "right" | "wrong"> => {
  const by = (name: string): Signatory => ({
    kind: "workflow",
    issuer: sigstore.issuer.url,
    subject: `${workflow.replace("stage-base", name)}@refs/tags/v1.2.0`,
    trustedRoot: sigstore.trustedRoot,
    proof,
    ...more,
  });
  return {
    form: "bundle",
    asks: ["attestation"],
    sign: (image) =>
      sign(image, keylessPolicy(proof), { signer: "keyless" }, sigstore.issuer.jobVariables({ environment: "build" })),
    right: async () => by("stage-base"),
    wrong: async () => by("stage-scan"),
  };
};

const keyed = {
  right: async (): Promise<Signatory> => {
    const [, pem = ""] =
      /base:[\s\S]*?(-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----)/.exec(
        new TextDecoder().decode(policyBytes),
      ) ?? [];
    return { kind: "key", publicKey: pem.replaceAll(/^ +/gm, "") };
  },
  wrong: async (): Promise<Signatory> => ({ kind: "key", publicKey: (await makeKey()).publicKeyPem }),
};

const notation: Omit<Form, "title"> = {
  form: "notation",
  asks: ["signature"],
  sign: async (image) => {
    const { key, chain } = await notary.certify({ subject });
    await writeFile(at("notation.pem"), key + chain, { mode: 0o600 });
    const policy = policyWith(
      [
        "trustStores:",
        "  acme:",
        `    certificates: |\n${indent(notary.root, 6)}`,
        `    timestamp:\n      url: ${sigstore.timestamp}\n      certificates: |\n${indent(timestampRoots(), 8)}`,
        "signers:",
        "  by-certificate:",
        "    kind: notation",
        "    trustStore: acme",
        `    identity: "x509.subject: ${subject}"`,
        "",
      ].join("\n"),
    );
    await sign(image, policy, { signer: "notation", key: "notation.pem" });
  },
  right: async () => ({ kind: "certificate", root: notary.root }),
  wrong: async () => ({ kind: "certificate", root: notary.otherRoot }),
};

/** The timestamp authority's own authorities: its tokens hold its own certificate alone. */
function timestampRoots(): string {
  const [authority] = JSON.parse(sigstore.trustedRoot).timestampAuthorities;
  const [, ...above] = authority.certChain.certificates as { rawBytes: string }[];
  return above.map(({ rawBytes }) => new X509Certificate(Buffer.from(rawBytes, "base64")).toString()).join("");
}

const plain = () => new TextDecoder().decode(policyBytes);
const forms: readonly Form[] = [
  {
    title: "bundle, by a key",
    form: "bundle",
    asks: ["attestation"],
    sign: (image) => sign(image, plain(), { key: "base.pem" }),
    ...keyed,
  },
  { title: "bundle, keyless, with a log entry (Rekor 2)", ...keyless("log") },
  { title: "bundle, keyless, with a timestamp alone", ...keyless("timestamp") },
  {
    title: "the same, the certificate's log not asked (`insecureIgnoreSCT`)",
    ...keyless("timestamp", { ignoresCertificateLog: true }),
  },
  {
    title: "`.att` and `.sig` (`legacy: true`), by a key",
    form: "tags",
    asks: ["attestation", "signature"],
    sign: (image) => sign(image, plain(), { key: "base.pem", legacy: "true" }),
    ...keyed,
  },
  { title: "Notary Project signature", ...notation },
];

const engines = (): AdmissionEngine[] => [
  createPolicyController("policy-controller 0.13.0", tools["policy-controller-0.13"], root),
  createPolicyController("policy-controller 0.14.0", tools["policy-controller-0.14"], root),
  createPolicyController("policy-controller 0.14.0, `enable-oci11`", tools["policy-controller-0.14"], root, [
    "-enable-oci11",
  ]),
  createKyverno("Kyverno 1.15.2", tools.kyverno, root),
];

/** Lines of the table, as they come. */
const rows: string[][] = [];

describe.each(forms.flatMap((form) => form.asks.map((asked) => ({ ...form, asked }))))(
  "$asked: $title",
  ({ title, form, asked, sign: signStage, right, wrong }) => {
    test("is admitted for its signer alone, or not at all", async () => {
      const [signed, bare] = [await newImage(), await newImage()];
      await signStage(signed);
      const type = asked === "attestation" ? { predicateType: predicateTypes.base } : {};
      const row = [title, asked];
      for (const engine of engines()) {
        const ask = async (image: Built, by: Signatory) => engine.ask({ image: image.reference, by, form, ...type });
        const answer = await ask(signed, await right());
        row.push(typeof answer === "string" ? answer : answer.admits ? "**reads**" : "refuses");
        // A check that admits everything reads nothing.
        for (const other of [await ask(bare, await right()), await ask(signed, await wrong())])
          if (typeof other !== "string") expect(other.admits, `${engine.title}: ${other.says}`).toBe(false);
      }
      rows.push(row);
    });
  },
);

test("docs/admission-engines.md says so", async () => {
  const table = [
    ["Evidence", "Asked for", ...engines().map(({ title }) => title)],
    ["---", "---", ...engines().map(() => "---")],
    ...rows,
  ];
  const file = join(import.meta.dirname, "../../docs/admission-engines.md");
  const lines = table.map((cells) => `| ${cells.join(" | ")} |`);
  const page = (await readFile(file, "utf8")).replace(/(?:^\|.*\n)+/m, `${lines.join("\n")}\n`);
  await expect(page).toMatchFileSnapshot(file);
});
