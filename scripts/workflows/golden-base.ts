import { build } from "./build-stage.ts";
import { buildSecrets, keyOf, passphraseOf, pullLogin, shared } from "./inputs.ts";
import { pinned } from "./pins.ts";
import { platformInputs } from "./platforms.ts";
import { expression, fromInput, fromSecret, type Inputs, type Mapping, type Output, type Place } from "./shape.ts";
import { asItself, fileOf, keyJob, quarantineLogin, signingPermissions } from "./stage-jobs.ts";
import { logIn, logInToPull, ownStep } from "./steps.ts";

export const goldenBaseFile = "golden-base.yml";

export const goldenBaseComment = [
  "Makes a golden base, or an image to build in, from its own definition: build → test → approve. To be called on a schedule and on a push, from the",
  "platform's repository. It is no stage: its signer speaks for none, and what it signs is that the image is approved.",
  "",
  "What runs strangers' code can't sign: the build is stage-build.yml's, and the job `test` has no id-token, no key and no login but one that reads.",
  "The job `approve` runs nothing of the image. It takes the digest alone, scans and scores it, looks for what the policy refuses, and signs; only then",
  "the floating tag moves.",
].join("\n");

export const goldenBaseInputs: Inputs = {
  policy: {
    description: `${shared.policy.description} By it the image is judged, and its approval counts.`,
  },
  "policy-signer": shared["policy-signer"],
  "build-policy": {
    description:
      "The policy by which the definition is built, which says what a base itself may stand on, such as OWNER/REPO//bases/policy.yaml@COMMIT. Empty, the same.",
    default: "",
  },
  context: { description: "Folder of the definition in the calling repository, such as bases/golden." },
  repository: { description: "Where the base is kept, HOST/NAME, as the policy has it." },
  test: {
    description:
      "A script of the calling repository that ends well where the images which are named on the base still answer. It gets IMAGE, HOST/NAME@sha256:DIGEST, and no token.",
  },
  strategy: { ...shared.strategy, default: "dockerfile" },
  builder: shared.builder,
  file: shared.file,
  target: shared.target,
  "build-args": shared["build-args"],
  ...platformInputs,
  role: { description: "What it is approved for: run-only, build-only or both.", default: "run-only" },
  "end-of-life": {
    description: "Until when it is approved: the last day, YYYY-MM-DD, or how long from the run on, such as 90d.",
    default: "90d",
  },
  notes: { description: "For people, signed with the approval.", default: "" },
  minimum: { description: "Points that it has to have, 0 to 100.", default: "0" },
  require: { description: "Checks of its score that have to be a yes, one a line.", default: "" },
  "move-tag": {
    description: "Whether the base's floating tag (approval.tag) moves once it is approved.",
    default: true,
  },
  images: {
    description:
      "Where to look for images that stand on an older version, one HOST/NAME a line, or catalogue for all of the policy's environments. Empty, nowhere.",
    default: "",
  },
  database: shared.database,
  "tools-mirror": shared["tools-mirror"],
  "pull-registry": {
    description:
      "A host to log in to for the jobs that build and test, with secrets that can only read there. Empty, no login.",
    default: "",
  },
  signer: {
    description:
      "How it is signed: keyless, as this workflow, which the policy has among the base's approval.signers; or key or kms, with a key in the secrets.",
    default: "keyless",
  },
  "registry-identities": shared["registry-identities"],
  registry: { description: "The host of 'repository', to log in to with the secrets. Empty, no login.", default: "" },
  "vetted-registry": {
    description:
      "A host to log in to for 'images', with secrets that can only read there, where it is another. Empty, no login.",
    default: "",
  },
  "build-job-environment": {
    description: "GitHub environment of the job that pushes and attests what was built. Empty, none.",
    default: "",
  },
  "job-environment": {
    description:
      "GitHub environment of the job that approves: its reviewers are asked, and it may keep GOLDENPATH_APPROVE_KEY and its passphrase. Empty, none.",
    default: "",
  },
  "runs-on": shared["runs-on"],
  "build-runs-on": {
    description:
      "Label of the runner for the jobs that build and test, and so run strangers' code. Its runners should be thrown away after each job.",
    default: "ubuntu-latest",
  },
};

const approveKey = "GOLDENPATH_APPROVE_KEY";
const readLogin = {
  VETTED_READ_USERNAME: "User of 'vetted-registry', for reading.",
  VETTED_READ_PASSWORD: "Password or token of that user.",
};

export const goldenBaseSecrets: Readonly<Record<string, string>> = {
  [approveKey]: "The private key of who approves (PEM, or as made by cosign). Not that of a stage.",
  [`${approveKey}_PASSPHRASE`]: "The passphrase of that key, where it has one.",
  [keyOf("build")]: "The private key of the build stage, where it signs with one.",
  [passphraseOf("build")]: "The passphrase of that key, where it has one.",
  ...pullLogin,
  ...quarantineLogin,
  QUARANTINE_USERNAME: "User of 'registry', where the base is kept. The jobs that build and test get it not.",
  QUARANTINE_PASSWORD: "Password or token of that user.",
  ...readLogin,
  ...buildSecrets,
};

const image = `${fromInput("repository")}@${expression("needs.build.outputs.digest")}`;

export const goldenBaseOutputs: Readonly<Record<string, Output>> = {
  image: {
    description: "What is approved, HOST/NAME@sha256:DIGEST.",
    value: expression("jobs.approve.outputs.image"),
  },
  behind: {
    description: "What has to be built anew, JSON: a list with image, platform, standing and base of each.",
    value: expression("jobs.approve.outputs.behind"),
  },
};

export function goldenBaseJobs(place: Place): Record<string, Mapping> {
  return { build: buildCall(place), test: testJob(place), approve: approveJob(place) };
}

/** What the build stage is given, where that is not this workflow's input of the same name. */
const handed: Readonly<Record<string, string>> = {
  policy: expression("inputs.build-policy || inputs.policy"),
  "policy-signer": expression("inputs.build-policy == '' && inputs.policy-signer || ''"),
  // A version keeps its name, also where the run is started again: what stands on it is told by its tag's image.
  tag: expression("format('{0}-{1}', github.run_id, github.run_attempt)"),
  "job-environment": fromInput("build-job-environment"),
};

function buildCall(place: Place): Mapping {
  const given = Object.keys(build.inputs).filter(
    (name) => Object.hasOwn(handed, name) || Object.hasOwn(goldenBaseInputs, name),
  );
  const secrets = [
    keyOf("build"),
    passphraseOf("build"),
    ...Object.keys({ ...pullLogin, ...quarantineLogin, ...buildSecrets }),
  ];
  return {
    name: "build",
    permissions: signingPermissions,
    uses: place.workflow(fileOf("build")),
    with: Object.fromEntries(given.map((name) => [name, handed[name] ?? fromInput(name)])),
    secrets: Object.fromEntries(secrets.map((secret) => [secret, fromSecret(secret)])),
  };
}

/** Runs what the platform's team wrote, with the image that was built. It says nothing but how it ends. */
function testJob(place: Place): Mapping {
  return {
    name: "test",
    needs: "build",
    "runs-on": fromInput("build-runs-on"),
    "timeout-minutes": 60,
    permissions: { contents: "read" },
    ...place.guarded,
    steps: [
      {
        name: "Check out the platform's repository",
        uses: pinned("actions/checkout"),
        with: { "persist-credentials": false },
      },
      logInToPull,
      {
        name: "Test what stands on it",
        shell: "bash",
        env: { IMAGE: image, TEST: fromInput("test") },
        run: 'bash "./$TEST"\n',
      },
    ],
  };
}

function approveJob(place: Place): Mapping {
  const outputs = {
    image: expression("steps.approve.outputs.image"),
    behind: expression("steps.approve.outputs.behind"),
  };
  const same = ["role", "end-of-life", "notes", "minimum", "require", "database", "images", "signer"];
  return keyJob(place, "approve", { needs: ["build", "test"], outputs }, [
    logIn("vetted, for reading", "vetted-registry", "VETTED_READ"),
    ownStep(place, goldenBaseFile, {
      name: "Approve, move the tag, and list what is behind",
      id: "approve",
      action: "approve-base",
      needsTools: true,
      with: {
        image,
        ...Object.fromEntries(same.map((name) => [name, fromInput(name)])),
        tag: fromInput("move-tag"),
        ...asItself,
        key: fromSecret(approveKey),
        "key-passphrase": fromSecret(`${approveKey}_PASSPHRASE`),
      },
    }),
  ]);
}
