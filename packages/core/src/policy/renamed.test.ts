import { makeKey } from "@goldenpath/testing/signers";
import { expect, test } from "vitest";
import type { PolicyPointer, Withdrawal } from "./pointer-facts.ts";
import { refuseRenamed } from "./renamed.ts";
import type { Policy } from "./schema.ts";

// A signer that was withdrawn, in the next policy by another name.

const from = new Date("2026-11-03T00:00:00Z");
const at = new Date("2026-11-09T00:00:00Z");
const said = { reason: "r", owner: "o", at };
const pointer = (more: Partial<Withdrawal> = {}): PolicyPointer =>
  ({ withdrawals: [{ thing: { kind: "signer", name: "scan", from }, ...said, ...more }] }) as never;
const [one, two] = (await Promise.all([makeKey(), makeKey()])).map(({ publicKeyPem }) => publicKeyPem);
const key = (publicKey: string | undefined, more: object = {}) => ({ publicKey, ...more });
const workflow = (more: object = {}) => ({
  kind: "keyless",
  issuer: "https://token.example",
  workflow: "https://github.com/acme/platform/.github/workflows/scan.yml",
  at: ["refs/heads/main"],
  ownerId: "1",
  ...more,
});
const certificate = (more: object = {}) => ({
  kind: "notation",
  trustStore: "acme",
  identity: "x509.subject: C=DE, O=acme, CN=scan",
  ...more,
});
const judge = (current: object, next: object, said = pointer()) =>
  refuseRenamed(said, { signers: current } as never as Policy, { policy: { signers: next }, uri: "p" } as never);

test.each<[what: string, current: object, next: object]>([
  ["with the same key", { scan: key(one) }, { "scan-2": key(one) }],
  ["with the same key of another kind", { scan: key(one) }, { "scan-2": { kind: "legacy", publicKey: one } }],
  ["beside another that has its name now", { scan: key(one) }, { "scan-2": key(one), scan: key(two) }],
  ["in the place of another", { scan: key(one), base: key(two) }, { base: key(one) }],
  ["with a later end", { scan: key(one) }, { "scan-2": key(one, { until: at }) }],
  ["by the same workflow", { scan: workflow() }, { "scan-2": workflow({ at: ["refs/tags/v2"] }) }],
  ["by the same workflow in one environment", { scan: workflow() }, { "scan-2": workflow({ environment: "x" }) }],
  ["by the same workflow without its environment", { scan: workflow({ environment: "a" }) }, { x: workflow() }],
  [
    "by the same workflow in the same environment",
    { scan: workflow({ environment: "a" }) },
    { x: workflow({ environment: "a" }) },
  ],
  [
    "by the same certificate, in a store of another name",
    { scan: certificate() },
    { x: certificate({ trustStore: "b" }) },
  ],
])("is refused: %s", (_what, current, next) => {
  expect(() => judge(current, next)).toThrow(expect.objectContaining({ code: "policy-renames-withdrawn" }));
  // Its twin: nobody is withdrawn any more.
  judge(current, next, pointer({ lifted: said }));
});

test.each<[what: string, current: object, next: object]>([
  ["it keeps its name", { scan: key(one) }, { scan: key(one) }],
  ["it is gone, and another is there", { scan: key(one) }, { "scan-2": key(two) }],
  ["it ends as it was withdrawn", { scan: key(one) }, { "scan-2": key(one, { until: from }) }],
  ["a workflow is in the place of a key", { scan: key(one) }, { x: workflow() }],
  ["a key is in the place of a workflow", { scan: workflow() }, { x: key(one) }],
  ["a certificate is in the place of a workflow", { scan: workflow() }, { x: certificate() }],
  ["a workflow is in the place of a certificate", { scan: certificate() }, { x: workflow() }],
  ["a key is in the place of a certificate", { scan: certificate() }, { x: key(one) }],
  ["another certificate speaks", { scan: certificate() }, { x: certificate({ identity: "x509.subject: CN=x" }) }],
  ["another workflow speaks", { scan: workflow() }, { x: workflow({ workflow: "https://github.com/acme/b/x.yml" }) }],
  ["another issuer speaks", { scan: workflow() }, { x: workflow({ issuer: "https://other.example" }) }],
  ["it is no signer of the policy of now", { base: key(one) }, { "scan-2": key(one) }],
  [
    "another environment of the workflow speaks",
    { scan: workflow({ environment: "a" }) },
    { "scan-2": workflow({ environment: "b" }) },
  ],
  [
    "the other was there before",
    { scan: workflow({ environment: "a" }), base: workflow() },
    { scan: workflow({ environment: "a" }), base: workflow() },
  ],
])("is let through where %s", (_what, current, next) => {
  judge(current, next);
});

test("whoever is refused is told by which name, and from when it was withdrawn", () =>
  expect(() => judge({ scan: key(one) }, { "scan-2": key(one) })).toThrow(
    expect.objectContaining({
      message: "signer 'scan-2' of policy p is the one that was withdrawn as 'scan' from 2026-11-03T00:00:00.000Z on",
      wayOut: expect.stringContaining("give 'scan-2' `until: \"2026-11-03T00:00:00.000Z\"`"),
    }),
  ));

test("an image and a base have no name", () => {
  const digest = `sha256:${"a".repeat(64)}` as const;
  for (const kind of ["image", "base"] as const)
    judge({ undefined: key(one) }, { "scan-2": key(one) }, pointer({ thing: { kind, digest } }));
});
