import { describe, expect, test } from "vitest";
import type { SignatureFalsehood } from "../support/constructed-sigstore.ts";
import { expectRefused } from "../support/gate-answers.ts";
import { commit, judge, readPolicy, useKeylessWorld, workflow } from "../support/keyless-world.ts";

// Keyless bundles that say two things, or another's; and policies that take more than their owners can mean.

useKeylessWorld();

describe("a bundle that two readers would read differently, or that is another's", () => {
  const edit = (change: (bundle: Record<string, never>) => void) => (text: string) => {
    const bundle = JSON.parse(text);
    change(bundle);
    return JSON.stringify(bundle);
  };
  type Parts = { verificationMaterial: Record<string, unknown>; dsseEnvelope: Record<string, unknown> };
  const parts = (change: (bundle: Parts) => void) => edit((bundle) => change(bundle as unknown as Parts));
  const payloadOf = (text: string): Buffer => Buffer.from(JSON.parse(text).dsseEnvelope.payload, "base64");

  test.each<[string, SignatureFalsehood, RegExp]>([
    ["another payload type, signed", { payloadType: "text/plain" }, /gate\.missing/],
    [
      "another payload type, put there",
      {
        change: parts(({ dsseEnvelope }) => {
          dsseEnvelope["payloadType"] = "text/plain";
        }),
      },
      /gate\.missing/,
    ],
    [
      "a payload that was changed",
      {
        change: (text) =>
          text.replace(
            /"payload":"[^"]+"/,
            `"payload":"${Buffer.from(payloadOf(text).toString().replace("test:finding", "test:changed").replace('"matchedLayers":1', '"matchedLayers":2')).toString("base64")}"`,
          ),
      },
      /gate\.signer/,
    ],
    [
      "a key twice",
      { change: (text) => text.replace('{"mediaType"', '{"mediaType":"x","mediaType"') },
      /gate\.missing/,
    ],
    [
      "a key beside the certificate",
      {
        change: parts(({ verificationMaterial }) => {
          verificationMaterial["publicKey"] = { hint: "x" };
        }),
      },
      /gate\.missing/,
    ],
    [
      "a chain beside the certificate",
      {
        change: parts(({ verificationMaterial }) => {
          verificationMaterial["x509CertificateChain"] = { certificates: [verificationMaterial["certificate"]] };
        }),
      },
      /gate\.missing/,
    ],
    [
      "no certificate",
      {
        change: parts(({ verificationMaterial }) => {
          delete verificationMaterial["certificate"];
        }),
      },
      /gate\.missing/,
    ],
    [
      "two signatures",
      {
        change: parts(({ dsseEnvelope }) => {
          const [one] = dsseEnvelope["signatures"] as unknown[];
          dsseEnvelope["signatures"] = [one, one];
        }),
      },
      /gate\.missing/,
    ],
    [
      "a bad signature beside the good one",
      {
        change: parts(({ dsseEnvelope }) => {
          dsseEnvelope["signatures"] = [...(dsseEnvelope["signatures"] as unknown[]), { sig: "AAAA" }];
        }),
      },
      /gate\.missing/,
    ],
    [
      "a bad signature before the good one",
      {
        change: parts(({ dsseEnvelope }) => {
          dsseEnvelope["signatures"] = [{ sig: "AAAA" }, ...(dsseEnvelope["signatures"] as unknown[])];
        }),
      },
      /gate\.missing/,
    ],
    [
      "a key twice in the envelope",
      { change: (text) => text.replace('"dsseEnvelope":{', '"dsseEnvelope":{"payloadType":"text/plain",') },
      /gate\.missing/,
    ],
    [
      "an older media type",
      { change: (text) => text.replace("bundle.v0.3+json", "bundle+json;version=0.2") },
      /gate\.missing/,
    ],
    [
      "a certificate with bytes behind it",
      {
        change: parts(({ verificationMaterial }) => {
          const { rawBytes } = verificationMaterial["certificate"] as { rawBytes: string };
          verificationMaterial["certificate"] = {
            rawBytes: Buffer.concat([Buffer.from(rawBytes, "base64"), Buffer.from([0])]).toString("base64"),
          };
        }),
      },
      /gate\.signer.*malformed/,
    ],
    [
      "an entry that is no JSON",
      {
        change: parts(({ verificationMaterial }) => {
          const [entry] = verificationMaterial["tlogEntries"] as Record<string, unknown>[];
          verificationMaterial["tlogEntries"] = [{ ...entry, canonicalizedBody: Buffer.from("{").toString("base64") }];
        }),
      },
      /gate\.signer/,
    ],
    [
      "a timestamp of nothing",
      {
        change: parts(({ verificationMaterial }) => {
          verificationMaterial["timestampVerificationData"] = { rfc3161Timestamps: [{ signedTimestamp: "AAAA" }] };
        }),
      },
      /gate\.signer.*malformed/,
    ],
  ])("%s", async (_what, falsehood, says) => {
    await expectRefused(judge(falsehood), says);
  });
});

describe("a policy that would take more than its owners can mean is refused", () => {
  test.each<[string, (text: string) => string, string]>([
    [
      "a branch",
      (text) => text.replace("refs/tags/v9.0.0", "refs/heads/main"),
      "signers.base.at[1]: expected a full commit",
    ],
    [
      "a pattern of tags",
      (text) => text.replace("refs/tags/v9.0.0", '"refs/tags/*"'),
      "signers.base.at[1]: expected a full commit",
    ],
    [
      "a short commit",
      (text) => text.replace(commit, commit.slice(0, 12)),
      "signers.base.at[0]: expected a full commit",
    ],
    ["no version", (text) => text.replace(/at: .*/, "at: []"), "signers.base.at: must have at least one entry"],
    [
      "a workflow with a ref",
      (text) => text.replace(workflow, `${workflow}@refs/heads/main`),
      "signers.base.workflow: expected https://",
    ],
    [
      "a workflow by a pattern",
      (text) =>
        text
          .replace("stage-base.yml", '"*.yml"')
          .replace("workflow: https", 'workflow: "https')
          .replace('"*.yml"', '*.yml"'),
      "signers.base.workflow: expected https://",
    ],
    [
      "half a component",
      (text) => text.replace("acme/*", "acme/sh*"),
      "signers.base.repositories[0]: expected https://HOST/OWNER/REPO",
    ],
    ["an owner by name", (text) => text.replace('"4321"', "acme"), "signers.base.ownerId: expected the number"],
    ["no owner", (text) => text.replace(/ {4}ownerId.*\n/, ""), "signers.base.ownerId: is missing"],
    [
      "a sigstore that is not there",
      (text) => text.replace("sigstore: own", "sigstore: other"),
      "signers.base.sigstore: 'other' is no sigstore of this policy (there is: own)",
    ],
    [
      "a root without authorities",
      (text) =>
        text.replace(
          /trustedRoot: '.*?', /,
          `trustedRoot: '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}', `,
        ),
      "sigstore.own.trustedRoot: has no certificate authority",
    ],
    [
      "a root that is none",
      (text) => text.replace(/trustedRoot: '.*?', /, "trustedRoot: '{}', "),
      "sigstore.own.trustedRoot: is no trusted root",
    ],
    [
      "a root with a key twice",
      (text) => text.replace("trustedRoot: '{", `trustedRoot: '{"mediaType":"x",`),
      'sigstore.own.trustedRoot: is no trusted root: the key "mediaType" is there twice',
    ],
    [
      "two signers that are one workflow",
      (text) =>
        text.replace(
          "environments:\n",
          `${text.slice(text.indexOf("  base:"), text.indexOf("environments:\n")).replace("base:", "scan:")}environments:\n`,
        ),
      "signers.scan.workflow: is the workflow of 'base' as well",
    ],
    [
      "a workflow that puts policies in force",
      (text) => text.replace("signers:\n", "activators: [base]\nsigners:\n"),
      "'base' is of kind keyless",
    ],
  ])("%s", async (_what, change, message) => {
    expect(() => readPolicy(change)).toThrow(message);
  });
});
