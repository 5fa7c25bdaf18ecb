import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import type { Policy } from "@goldenpath/core/policy/schema";
import { collectEvidence } from "@goldenpath/core/signing/collect";
import { predicateTypes } from "@goldenpath/core/signing/predicates";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import type { Execution } from "@goldenpath/core/verbs/execute";
import { signVerb } from "@goldenpath/core/verbs/sign";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import type { JobClaims } from "../support/github-issuer.ts";
import { type RealSigstore, sigstoreTools, startSigstore } from "../support/real-sigstore.ts";
import {
  type Built,
  client,
  execute,
  newImage,
  policyBytes,
  resultOf,
  root,
  rulesOf,
  server,
  useSigningPath,
  writeResult,
} from "../support/signing-path.ts";
import { useTools } from "../support/tools.ts";

// Signatures without keys, by the field's own services: what our verbs sign, cosign verifies, and the other way round.

const run = promisify(execFile);
const tools = useTools(...sigstoreTools);
useSigningPath("syft");

let sigstore: RealSigstore;
let policy: Policy;
/** Services that are whole, and the policy that trusts them. */
async function openSigstore(): Promise<void> {
  await sigstore?.close();
  sigstore = await startSigstore(tools);
  await writeFile(join(root, "keyless.yaml"), keylessPolicy());
  await writeFile(join(root, "no-names.yaml"), keylessPolicy().replace("privateNames: true", "privateNames: false"));
  policy = parsePolicy(Buffer.from(keylessPolicy()), "keyless.yaml");
}
beforeAll(openSigstore);
afterAll(() => sigstore?.close());

const workflow = "https://github.com/acme/platform/.github/workflows/stage-base.yml";
const identity = `${workflow}@refs/tags/v1.2.0`;
const stranger: Partial<JobClaims> = {
  job_workflow_ref: "acme/shop/.github/workflows/stage-base.yml@refs/heads/main",
};

/** The path's policy, with a workflow that signs for the base, and alone is required. */
function keylessPolicy(): string {
  const { fulcio, rekor, timestamp, trustedRoot, issuer } = sigstore;
  const services = `    fulcio: ${fulcio}\n    rekor: ${rekor}\n    timestamp: ${timestamp}\n    privateNames: true\n`;
  const root = `    trustedRoot: '${JSON.stringify(JSON.parse(trustedRoot))}'\n`;
  const signer = [
    "  by-workflow:",
    "    kind: keyless",
    "    sigstore: own",
    `    issuer: ${issuer.url}`,
    `    workflow: ${workflow}`,
    `    at: ["${"c".repeat(40)}"]`,
    '    ownerId: "4321"',
    '    repositories: ["https://github.com/acme/*"]',
    "    environment: build",
    "",
  ].join("\n");
  return new TextDecoder()
    .decode(policyBytes)
    .replace("signers:\n", `sigstore:\n  own:\n${services}${root}signers:\n${signer}`)
    .replace(
      / {6}- \{ stage: base, signers: \[base\] \}\n.*\n/,
      "      - { stage: base, signers: [by-workflow], maxAge: 1h }\n",
    );
}

const asJob = (claims: Partial<JobClaims> = {}) => sigstore.issuer.jobVariables({ environment: "build", ...claims });

async function sign(image: Built, variables: Record<string, string>, file = "keyless.yaml", result?: string) {
  const bytes = await readFile(join(root, file));
  const made = { policy: { uri: file, digest: digestOf(bytes), serial: policy.serial } };
  const results = result ?? (await writeResult(resultOf("base", image, "pass", made)));
  const inputs = { image: image.reference, results, signer: "keyless", policy: file };
  return execute(signVerb as Verb, inputs, undefined, variables);
}
const verify = (image: Built) =>
  execute(verifyVerb as Verb, { image: image.reference, environment: "production", policy: "keyless.yaml" });
const referrersOf = (image: Built) => client.listReferrers({ registry: server.host, name: image.name }, image.digest);
const codeOf = ({ outcome }: Execution) => outcome.result.error?.code;
const passed = { verdict: "pass", rules: [] };
const tell = (execution: Execution) => ({ verdict: execution.outcome.verdict, rules: rulesOf(execution) });

const cosign = async (...args: string[]): Promise<string> =>
  (await run(tools.cosign, args, { env: { HOME: root, PATH: process.env["PATH"] }, maxBuffer: 64 * 1024 * 1024 }))
    .stdout;
const verifyByCosign = (image: Built, type: string, by = identity, issuer = sigstore.issuer.url) =>
  cosign(
    ...["verify-attestation", "--trusted-root", sigstore.trustedRootFile, "--type", type],
    ...["--certificate-identity", by, "--certificate-oidc-issuer", issuer, image.reference],
  );

describe("a policy that names an authority of the caller's own", () => {
  /** Keeps the tokens that it is shown, and gives no certificate. */
  const openGreedy = async () => {
    const shown: string[] = [];
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        const body = JSON.parse(Buffer.concat(parts).toString()) as { credentials: { oidcIdentityToken: string } };
        shown.push(body.credentials.oidcIdentityToken);
        response.writeHead(400).end("thank you");
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return { url, shown, close: () => new Promise((resolve) => server.close(resolve)) };
  };

  test("gets a token that the platform's authority does not take", async () => {
    const greedy = await openGreedy();
    try {
      const file = "greedy.yaml";
      await writeFile(join(root, file), keylessPolicy().replace(sigstore.fulcio, greedy.url));
      const image = await newImage();
      expect(codeOf(await sign(image, asJob(), file))).toBe("sigstore-refused");
      const [token = ""] = greedy.shown;
      const { aud } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { aud: string };
      expect(aud).toBe(greedy.url);
      // Whoever has it goes to the real one with it, as cosign does.
      await writeFile(join(root, "predicate.json"), "{}");
      const attest = (identityToken: string) =>
        cosign(
          ...["attest", "--yes", "--identity-token", identityToken, "--signing-config", sigstore.signingConfigFile],
          ...["--trusted-root", sigstore.trustedRootFile, "--type", predicateTypes.base],
          ...["--predicate", join(root, "predicate.json"), image.reference],
        );
      await expect(attest(token)).rejects.toThrow(/fulcio|certificate|token/i);
      expect(await referrersOf(image)).toEqual([]);
      // Its twin: the job's token for that one.
      await attest(sigstore.issuer.issue({ environment: "build" }, sigstore.fulcio));
      expect(await referrersOf(image)).toHaveLength(1);
    } finally {
      await greedy.close();
    }
  });
});

describe("a job that signs nothing, and whose name nobody learns", () => {
  test.each<[string, () => Record<string, string>, string]>([
    ["of another workflow than the policy's", () => asJob(stranger), "signer-unknown"],
    ["on a runner of its own", () => asJob({ runner_environment: "self-hosted" }), "signer-unknown"],
    ["without the environment", () => asJob({ environment: "other" }), "signer-unknown"],
    ["that may have no token", () => ({}), "id-token-missing"],
    ["whose token is none", () => ({ SIGSTORE_ID_TOKEN: "a.b.c" }), "id-token-invalid"],
    ["whose request is not answered", () => ({ ...asJob(), ACTIONS_ID_TOKEN_REQUEST_TOKEN: "x" }), "identity-refused"],
    [
      "whose token is for somebody else",
      () => ({ SIGSTORE_ID_TOKEN: sigstore.issuer.issue({ environment: "build" }, "other") }),
      "id-token-invalid",
    ],
    [
      "whose token is good at the public instance, and the policy's is another",
      () => ({ SIGSTORE_ID_TOKEN: sigstore.issuer.issue({ environment: "build" }, "sigstore") }),
      "id-token-invalid",
    ],
  ])("%s", async (_what, variables, code) => {
    const image = await newImage();
    const signed = await sign(image, variables());
    expect(signed.outcome.verdict).toBe("error");
    expect(codeOf(signed)).toBe(code);
    expect(await referrersOf(image)).toEqual([]);
  });

  test("of a private repository, where the policy does not let its name be read", async () => {
    const image = await newImage();
    const hidden = asJob({ repository_visibility: "private" });
    const refused = await sign(image, hidden, "no-names.yaml");
    expect(codeOf(refused)).toBe("repository-not-public");
    expect(await referrersOf(image)).toEqual([]);
    expect((await sign(image, hidden)).outcome.verdict).toBe("pass");
  });
});

describe("what a stage's workflow signs", () => {
  let image: Built;
  let result: string;
  beforeAll(async () => {
    image = await newImage();
    const digest = digestOf(await readFile(join(root, "keyless.yaml")));
    const made = { policy: { uri: "keyless.yaml", digest, serial: policy.serial } };
    result = await writeResult(resultOf("base", image, "pass", made));
  });

  test("is by one token and one certificate for all statements, and the gate takes it", async () => {
    expect(tell(await verify(image))).toEqual({ verdict: "fail", rules: ["gate.missing"] });
    const before = sigstore.issuer.asked();
    expect((await sign(image, asJob(), "keyless.yaml", result)).outcome.verdict).toBe("pass");
    expect(sigstore.issuer.asked() - before).toBe(1);
    const repository = { registry: server.host, name: image.name };
    const referrers = await referrersOf(image);
    const certificates = await Promise.all(
      referrers.map(async ({ digest }) => {
        const { kind, manifest } = await client.fetchManifest({ ...repository, digest });
        const [layer] = kind === "image" ? manifest.layers : [];
        if (layer === undefined) throw new TypeError("no bundle");
        const bundle = JSON.parse(Buffer.from(await client.fetchBlob(repository, layer)).toString());
        expect(bundle.verificationMaterial.tlogEntries).toHaveLength(1);
        expect(bundle.verificationMaterial.timestampVerificationData.rfc3161Timestamps).toHaveLength(1);
        return bundle.verificationMaterial.certificate.rawBytes;
      }),
    );
    expect(certificates).toHaveLength(2);
    expect(new Set(certificates).size).toBe(1);
    expect(tell(await verify(image))).toEqual(passed);
  });

  test("is not signed twice", async () => {
    const before = await referrersOf(image);
    expect((await sign(image, asJob(), "keyless.yaml", result)).outcome.verdict).toBe("pass");
    expect(await referrersOf(image)).toEqual(before);
  });

  test("is verified by cosign, and for no other workflow, issuer or type", async () => {
    const other = identity.replace("stage-base", "stage-scan");
    await expect(verifyByCosign(image, predicateTypes.base, other)).rejects.toThrow(/no matching attestations/);
    const issuer = "https://token.actions.githubusercontent.com";
    await expect(verifyByCosign(image, predicateTypes.base, identity, issuer)).rejects.toThrow(
      /no matching attestations/,
    );
    await expect(verifyByCosign(image, predicateTypes.cyclonedx)).rejects.toThrow(/none of the attestations matched/);
    for (const type of [predicateTypes.base, predicateTypes.verificationSummary]) {
      const [line = ""] = (await verifyByCosign(image, type)).trim().split("\n");
      expect(JSON.parse(Buffer.from(JSON.parse(line).payload, "base64").toString()).predicateType).toBe(type);
    }
  });
});

test("what is exported is checked by cosign with the trusted root that lies there", async () => {
  const image = await newImage();
  const digest = digestOf(await readFile(join(root, "keyless.yaml")));
  const made = { policy: { uri: "keyless.yaml", digest, serial: policy.serial } };
  await sign(image, asJob(), "keyless.yaml", await writeResult(resultOf("base", image, "pass", made)));
  const out = join(root, "exported");
  await runMain("evidence", "export", image.reference, "--policy", join(root, "keyless.yaml"), "--out", out);
  const folder = join(out, image.digest.replace(":", "-"));
  const env = { HOME: root, PATH: [dirname(tools.cosign), process.env["PATH"]].join(delimiter) };
  const { stderr } = await run("sh", [join(folder, "check.sh")], { env });
  expect(stderr.match(/Verified OK/g)).toHaveLength(2);
});

describe("a build's provenance", () => {
  const claims = { repository: "acme/shop", ref: "refs/heads/main", event_name: "push" } as const;
  const run = {
    sourceRepository: "https://github.com/acme/shop",
    sourceRef: claims.ref,
    event: claims.event_name,
  };
  /** What a runner says that does not know which commit of a workflow was called: one that was written down. */
  const builderId = `${workflow}@${"9".repeat(40)}`;
  const attestBy = async (change: object) => {
    const image = await newImage();
    const token = JSON.parse(
      Buffer.from(sigstore.issuer.issue({ environment: "build" }).split(".")[1] ?? "", "base64url").toString(),
    );
    const inputs = {
      image: image.reference,
      signer: "keyless",
      policy: "built.yaml",
      "build-environment": "container",
    };
    const facts = { ...run, builderId, sourceCommit: token.sha, callerId: `https://github.com/${token.workflow_ref}` };
    const attested = await execute(attestVerb as Verb, inputs, { ...facts, ...change } as never, asJob(claims));
    expect(attested.outcome.result.error).toBeUndefined();
    return execute(verifyVerb as Verb, { image: image.reference, environment: "built", policy: "built.yaml" });
  };
  beforeAll(() =>
    writeFile(
      join(root, "built.yaml"),
      keylessPolicy().replace("stage: build, signers: [build]", "stage: build, signers: [by-workflow]"),
    ),
  );

  test("names another commit than the token's, and is refused", async () => {
    expect(tell(await attestBy({ sourceCommit: "e".repeat(40) }))).toEqual({ verdict: "fail", rules: ["gate.source"] });
  });

  test("names its builder by the token, whatever the runner says that it is", async () => {
    expect(tell(await attestBy({}))).toEqual(passed);
  });
});

describe("what cosign signs without a key", () => {
  const attest = async (image: Built, claims: Partial<JobClaims>) => {
    await writeFile(join(root, "predicate.json"), '{"found":"something"}');
    const token = sigstore.issuer.issue({ environment: "build", ...claims }, sigstore.fulcio);
    await cosign(
      ...["attest", "--yes", "--identity-token", token, "--signing-config", sigstore.signingConfigFile],
      ...["--trusted-root", sigstore.trustedRootFile, "--type", predicateTypes.base],
      ...["--predicate", join(root, "predicate.json"), image.reference],
    );
    return collectEvidence(client, { registry: server.host, name: image.name }, image.digest, policy.signers, {
      now: new Date(),
    });
  };

  test("counts for nothing where another workflow did", async () => {
    const { statements, rejected } = await attest(await newImage(), stranger);
    expect(statements).toEqual([]);
    expect(rejected.map(({ reason }) => reason)).toEqual([
      expect.stringMatching(/not by 'by-workflow': it was signed by .*acme\/shop/),
    ]);
  });

  test("counts for the policy's workflow", async () => {
    const { statements, rejected } = await attest(await newImage(), {});
    expect(rejected).toEqual([]);
    expect(statements.map(({ signers, statement, time }) => [signers, statement.predicateType, time])).toEqual([
      [["by-workflow"], predicateTypes.base, expect.any(Date)],
    ]);
  });
});

describe.each(["timestamp", "rekor", "fulcio"] as const)("when %s is away", (service) => {
  test("the stage ends as an error, says so, and signs nothing", async () => {
    await openSigstore();
    await sigstore.stop(service);
    const image = await newImage();
    const signed = await sign(image, asJob());
    expect(signed.outcome.verdict).toBe("error");
    expect(codeOf(signed)).toBe("sigstore-unavailable");
    expect(await referrersOf(image)).toEqual([]);
    expect(tell(await verify(image))).toEqual({ verdict: "fail", rules: ["gate.missing"] });
  });
});
