// The cluster's admission engines, by their own checks and without a cluster: policy-controller's tester and Kyverno's
// command line verify an image in a registry by the code that their webhooks run.
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { LockedTool } from "@goldenpath/core/tools/lock";
import { runProcess } from "@goldenpath/foundation/exec/run";

const toolchain = "go1.26.8";
const policyController = {
  toolchain,
  package: "./cmd/tester",
  ldflags: "-s -w",
} as const;

/**
 * Minutes each to compile, so that only the slow tests ask for them. None says its version where it is built from the
 * module proxy: each is known by its bytes.
 */
export const admissionEngines: readonly LockedTool[] = [
  {
    name: "policy-controller-0.13",
    version: "0.13.0",
    module: {
      path: "github.com/sigstore/policy-controller",
      version: "v0.13.0",
      sum: "h1:NAzGGn8TWQB3Bxek2/xd5mxvZR1Fn6RnttXTOfdm3Xk=",
    },
    ...policyController,
    builds: { "linux-amd64": "3c92ed108321893fb6f0291991b21d5a09836b97d6fa9746e94ad28a2b3f47ea" },
  },
  {
    name: "policy-controller-0.14",
    version: "0.14.0",
    module: {
      path: "github.com/sigstore/policy-controller",
      version: "v0.14.0",
      sum: "h1:O7ZsEnQiHMNEBklpAaVc+i99HIThRUM4SerenpFkoWU=",
    },
    ...policyController,
    builds: { "linux-amd64": "59b2d9e3cce031e910049c41591285aec0da3649836f57ff325865747c327d2a" },
  },
  {
    name: "kyverno",
    version: "1.15.2",
    module: {
      path: "github.com/kyverno/kyverno",
      version: "v1.15.2",
      sum: "h1:1eDivq33TEgHwZkPl/4Id+9p+x6/3ieg1WzBGjmHWk0=",
    },
    toolchain,
    package: "./cmd/cli/kubectl-kyverno",
    ldflags: "-s -w -X github.com/kyverno/kyverno/pkg/version.BuildVersion=v1.15.2",
    builds: { "linux-amd64": "34c03b84321d02f1f9f7d54eb9aa944a05645f1975638933ee816454c2213406" },
  },
];

/** Whose word an engine is to take. PEM, and URLs as they stand in certificates. */
export type Signatory =
  | { kind: "key"; publicKey: string }
  | {
      kind: "workflow";
      issuer: string;
      subject: string;
      trustedRoot: string;
      proof: "log" | "timestamp";
      /** The engine does not ask for the certificate's entry in a certificate log. */
      ignoresCertificateLog?: boolean;
    }
  | { kind: "certificate"; root: string };

/** What it is asked for: an attestation of a type, or, without one, a signature of the image. */
export interface Question {
  image: string;
  by: Signatory;
  predicateType?: string;
  form: "bundle" | "tags" | "notation";
}

export interface Answer {
  admits: boolean;
  /** All that it says, for whoever wonders why. */
  says: string;
}

export interface AdmissionEngine {
  /** As a table names it. */
  title: string;
  /** A text where it is not asked, which says why. */
  ask(question: Question): Promise<Answer | string>;
}

/** @param directory where policies are written; HOME of the engine besides */
export function createPolicyController(
  title: string,
  program: string,
  directory: string,
  flags: readonly string[] = [],
): AdmissionEngine {
  return {
    title,
    async ask(question) {
      const { by, predicateType, form, image } = question;
      if (form === "notation" || by.kind === "certificate") return noWords;
      const authority = {
        name: "signer",
        ...(form === "bundle" ? { signatureFormat: "bundle" } : {}),
        ...(by.kind === "key" ? { key: { data: by.publicKey } } : keylessAuthority(by)),
        ...(predicateType === undefined ? {} : { attestations: [{ name: "stage", predicateType }] }),
      };
      const policy = await write(directory, "cluster-image-policy", {
        apiVersion: "policy.sigstore.dev/v1beta1",
        kind: "ClusterImagePolicy",
        metadata: { name: "goldenpath" },
        spec: { images: [{ glob: "**" }], authorities: [authority] },
      });
      const args = ["-policy", policy, "-image", image, ...flags];
      if (by.kind === "workflow")
        args.push("-trustroot", await write(directory, "trust-root", renderTrustRoot(by.trustedRoot)));
      return decide(program, args, directory, (said) => said.includes("Verification was successful!"));
    },
  };
}

/** Of an engine whose policies can't ask the question. */
const noWords = "has no words for it";
const trustRootName = "own";

type Workflow = Extract<Signatory, { kind: "workflow" }>;
const keylessAuthority = ({ issuer, subject, proof, ignoresCertificateLog = false }: Workflow) => ({
  keyless: {
    identities: [{ issuer, subject }],
    trustRootRef: trustRootName,
    ...(ignoresCertificateLog ? { insecureIgnoreSCT: true } : {}),
  },
  ...(proof === "log"
    ? { ctlog: { trustRootRef: trustRootName } }
    : { rfc3161timestamp: { trustRootRef: trustRootName } }),
});

interface TrustedRoot {
  certificateAuthorities: Chain[];
  timestampAuthorities?: Chain[];
  tlogs?: Log[];
  ctlogs?: Log[];
}
interface Chain {
  uri?: string;
  certChain: { certificates: { rawBytes: string }[] };
}
interface Log {
  baseUrl: string;
  publicKey: { rawBytes: string };
}

/** Sigstore's trusted root in the words of policy-controller's TrustRoot. */
function renderTrustRoot(text: string): object {
  const root = JSON.parse(text) as TrustedRoot;
  const base64 = (pem: string): string => Buffer.from(pem).toString("base64");
  const pemOf = (label: string, bytes: string): string =>
    `-----BEGIN ${label}-----\n${bytes}\n-----END ${label}-----\n`;
  const authority = ({ uri, certChain: { certificates } }: Chain) => {
    const pems = certificates.map(({ rawBytes }) => new X509Certificate(Buffer.from(rawBytes, "base64")).toString());
    return {
      subject: { organization: "goldenpath", commonName: "test" },
      uri: uri ?? "http://localhost",
      certChain: base64(pems.join("")),
    };
  };
  const log = ({ baseUrl, publicKey }: Log) => ({
    baseURL: baseUrl,
    hashAlgorithm: "sha256",
    publicKey: base64(pemOf("PUBLIC KEY", publicKey.rawBytes)),
  });
  return {
    apiVersion: "policy.sigstore.dev/v1alpha1",
    kind: "TrustRoot",
    metadata: { name: trustRootName },
    spec: {
      sigstoreKeys: {
        certificateAuthorities: root.certificateAuthorities.map(authority),
        timestampAuthorities: (root.timestampAuthorities ?? []).map(authority),
        tLogs: (root.tlogs ?? []).map(log),
        ctLogs: (root.ctlogs ?? []).map(log),
      },
    },
  };
}

export function createKyverno(title: string, program: string, directory: string): AdmissionEngine {
  return {
    title,
    async ask(question) {
      const attestor = kyvernoAttestor(question);
      if (typeof attestor === "string") return attestor;
      const { image, predicateType, form } = question;
      const attestors = [{ entries: [attestor] }];
      const type = { bundle: "SigstoreBundle", tags: "Cosign", notation: "Notary" }[form];
      const policy = await write(directory, "cluster-policy", {
        apiVersion: "kyverno.io/v1",
        kind: "ClusterPolicy",
        metadata: { name: "goldenpath" },
        spec: {
          background: false,
          webhookConfiguration: { failurePolicy: "Fail", timeoutSeconds: 30 },
          rules: [
            {
              name: "stage",
              match: { any: [{ resources: { kinds: ["Pod"] } }] },
              verifyImages: [
                {
                  imageReferences: ["*"],
                  type,
                  failureAction: "Enforce",
                  mutateDigest: false,
                  useCache: false,
                  ...(predicateType === undefined
                    ? { attestors }
                    : { attestations: [{ type: predicateType, attestors }] }),
                },
              ],
            },
          ],
        },
      });
      const pod = await write(directory, "pod", {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "shop", namespace: "default" },
        spec: { containers: [{ name: "shop", image }] },
      });
      const args = ["apply", policy, "--resource", pod, "--registry", "--remove-color"];
      return decide(program, args, directory, (said) =>
        /pass: [1-9]\d*, fail: 0, warn: 0, error: 0, skip: 0/.test(said),
      );
    },
  };
}

/** What a Kyverno policy says of a signer, or why it says nothing. */
function kyvernoAttestor({ by, form }: Question): object | string {
  switch (by.kind) {
    case "key":
      if (form === "notation") return noWords;
      return { keys: { publicKeys: by.publicKey, rekor: { ignoreTlog: true }, ctlog: { ignoreSCT: true } } };
    case "certificate":
      return form === "notation" ? { certificates: { cert: by.root } } : noWords;
    case "workflow":
      return "not tried: its roots come by TUF alone";
  }
}

let counter = 0;
/** JSON is YAML. */
async function write(directory: string, name: string, value: object): Promise<string> {
  const path = join(directory, `${name}-${++counter}.yaml`);
  await writeFile(path, JSON.stringify(value, null, 2));
  return path;
}

/** An engine that neither admits nor refuses is one that does not admit; why, it says itself. */
async function decide(
  program: string,
  args: readonly string[],
  directory: string,
  isAdmitted: (said: string) => boolean,
): Promise<Answer> {
  const env = { HOME: directory, PATH: process.env["PATH"], TUF_ROOT: join(directory, "tuf") };
  const { exitCode, stdout, stderr } = await runProcess(program, args, { env, cwd: directory, timeoutMs: 120_000 });
  const says = `${stdout}${stderr}`;
  return { admits: exitCode === 0 && isAdmitted(says), says };
}
