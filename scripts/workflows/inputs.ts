import type { Input, Inputs, SignerName } from "./shape.ts";

/** Inputs that more than one workflow has, each told once. */
export const shared = {
  policy: {
    description:
      "The organisation's policy, oci://HOST/FIRST/goldenpath-policy:in-force for whichever is in force; or OWNER/REPO//path@COMMIT, or oci://HOST/NAME@sha256:DIGEST.",
  },
  "policy-signer": {
    description:
      "The public key (PEM) of the platform's signer, on whose word a policy is in force. Without it, promote takes the policy's own activators.",
    default: "",
  },
  context: { description: "Directory of the application in the calling repository.", default: "." },
  collection: { description: "Directory in the calling repository that the applications are in.", default: "." },
  module: {
    description:
      "The folder of one of several applications in the context, where its build needs the whole of that, such as a module of Maven.",
    default: "",
  },
  image: { description: "The image in quarantine, HOST/NAME@sha256:DIGEST." },
  "take-image": {
    description:
      "An image that something else built, HOST/NAME@sha256:DIGEST. It is taken into quarantine where its provenance or its import counts under the policy, and nothing is built. Empty, the application is built.",
    default: "",
  },
  "take-from-api": {
    description:
      "OWNER/REPO: what GitHub keeps as attestations of this repository counts for take-image as well, where nobody has put them beside the image. Of a private one with the secret ATTESTATIONS_TOKEN.",
    default: "",
  },
  "allow-tag-rollback": {
    description:
      "true lets a tag move to an image that an earlier run built, or of which that can't be told. The promotion's statement says so.",
    default: false,
  },
  "record-approvals": {
    description:
      "true has the promotion's statement say who approved the run's deployment, by GitHub's review history of it.",
    default: false,
  },
  environment: { description: "The policy's environment whose gate decides.", default: "production" },
  strategy: {
    description: "How to build, auto or one of the policy's strategies by name. The job that attests is told the same.",
    default: "auto",
  },
  builder: { description: "Name of a builder of the policy. Default, the policy's first.", default: "" },
  env: { description: "Build-time environment for the buildpacks, one KEY=value a line.", default: "" },
  file: { description: "The Dockerfile, in the context. Default, the one that there is.", default: "" },
  target: { description: "The stage of the Dockerfile to build. Default, the last.", default: "" },
  "build-args": {
    description: "Build arguments of a Dockerfile, one KEY=value a line. They can be read from the image's provenance.",
    default: "",
  },
  database: {
    description: "Directory of a grype database on the runner. Default, grype's own, downloaded.",
    default: "",
  },
  "compare-with": {
    description:
      "Another image to compare the findings with, such as the one that was promoted last, HOST/vetted/NAME:TAG. Empty, none.",
    default: "",
  },
  "tools-mirror": {
    description:
      "Where tools are downloaded from instead of their publishers, as GOLDENPATH_TOOL_MIRROR. Empty, from their publishers.",
    default: "",
  },
  "pull-registry": {
    description:
      "A host to log in to for the job that builds, with secrets that can only read there: where bases, builders or the policy can't be read without. Empty, no login.",
    default: "",
  },
  signer: {
    description:
      "How the stages sign: keyless, each as its own workflow, which the policy has as a signer; or key, kms or notation, with a key in the secrets.",
    default: "keyless",
  },
  legacy: {
    description:
      "Whether signatures and attestations are written besides as cosign wrote them before version 3. Not with the signer keyless.",
    default: false,
  },
  "registry-identities": {
    description:
      "Registries that the jobs which judge and sign log in to as themselves, without a secret, as the actions' input registry-identities. The job that builds has none.",
    default: "",
  },
  registry: { description: "Quarantine's host, to log in to with the secrets. Empty, no login.", default: "" },
  "runs-on": { description: "Label of the runner.", default: "ubuntu-latest" },
} as const satisfies Inputs;

/** What is built, and how, as the build stage and the chain take it. */
export const whatIsBuilt = {
  "take-image": shared["take-image"],
  "take-from-api": shared["take-from-api"],
  strategy: shared.strategy,
  builder: shared.builder,
  env: shared.env,
  file: shared.file,
  target: shared.target,
  "build-args": shared["build-args"],
} satisfies Inputs;

/** For the job that builds, which may use them up: no other gets them. */
export const buildSecrets = {
  BUILD_SECRETS: "What steps of a Dockerfile may mount, one ID=value a line. Only the job that builds gets it.",
};

/** For the job that takes an image in, in which nothing of an application runs: no other gets it. */
export const takeInSecrets = {
  ATTESTATIONS_TOKEN:
    "Reads the attestations of 'take-from-api' at GitHub (attestations: read), and the policy where that is on GitHub. Default, the job's own token.",
};

/** For the job that builds. */
export const pullLogin = {
  PULL_USERNAME: "User of 'pull-registry', for reading. The job that builds gets no other login.",
  PULL_PASSWORD: "Password or token of that user.",
};

export const keyOf = (stage: SignerName): string => `GOLDENPATH_${stage.toUpperCase()}_KEY`;
export const passphraseOf = (stage: SignerName): string => `${keyOf(stage)}_PASSPHRASE`;

/** The environment of the job that signs for a stage. */
export function jobEnvironment(stage: SignerName): Input {
  const signed =
    stage === "judge" ? "stages build, base and scan" : stage === "rebase" ? "rebase, as the build" : `${stage} stage`;
  const kept = stage === "promote" ? ", its passphrase, VETTED_USERNAME and VETTED_PASSWORD" : " and its passphrase";
  return {
    description: `GitHub environment of the job that signs for the ${signed}: its reviewers are asked, and it may keep ${keyOf(stage)}${kept}. Empty, none, and the caller's own secrets of those names are used.`,
    default: "",
  };
}
