import { type Chain, chainJobs } from "./chain.ts";
import { jobEnvironment, keyOf, passphraseOf, pullLogin, shared } from "./inputs.ts";
import { pinned } from "./pins.ts";
import { rebase, vettedReadLogin, whatIsRebased } from "./rebase-stage.ts";
import { expression, fromInput, fromSecret, type Inputs, type Mapping, type Output, type Place } from "./shape.ts";
import { promotePermissions, signingPermissions } from "./stage-jobs.ts";
import { promote, stageRows } from "./stages.ts";
import { logIn, logInToPull, ownStep } from "./steps.ts";

export const rebaseImageFile = "rebase-image.yml";
export const fleetRebaseFile = "fleet-rebase.yml";

export const rebaseImageComment = [
  "One image of vetted on another version of its base: rebase → the application's own check, base and scan, side by side → promote. It goes past the same gate, environment and",
  "reviewers as what is built. The job `check` runs the image, or what asks it, and can't sign; the others run nothing of it.",
].join("\n");

export const fleetRebaseComment = [
  "What stands in vetted on an older version of its base, on the newest one, in the policy's waves: one run is one wave. To be called on a schedule from the platform's repository.",
  "The list that goes from the first job to the others decides nothing: each image is looked at anew, and let through by the gate alone.",
].join("\n");

const rows = [rebase, ...stageRows.filter(({ name }) => name === "base" || name === "scan"), promote];
const chain: Chain = {
  rows,
  needs: { base: "rebase", scan: "rebase", promote: ["rebase", "check", "base", "scan"] },
  handed: {
    tag: fromInput("tag"),
    tags: fromInput("tags"),
    // A rebase is as new as the build that it goes back to: a tag that a later build has is not for it.
    "allow-tag-rollback": false,
    // Nor one that was put on another image while this waited for its reviewers, as in an incident.
    replaces: fromInput("image"),
  },
};

/** What both have in common. */
const common = {
  policy: shared.policy,
  "policy-signer": shared["policy-signer"],
  environment: shared.environment,
  "record-approvals": shared["record-approvals"],
  check: {
    description:
      "A script of the calling repository that has to end well for each image before it is promoted. It gets IMAGE and OLD_IMAGE, HOST/NAME@sha256:DIGEST, the NAME of the repository in vetted, SOURCE and COMMIT that it was built from, and no token. Empty, none.",
    default: "",
  },
  database: shared.database,
  "compare-with": shared["compare-with"],
  "tools-mirror": shared["tools-mirror"],
  "pull-registry": {
    description: "A host to log in to for the job that checks, with secrets that can only read there. Empty, no login.",
    default: "",
  },
  signer: shared.signer,
  legacy: shared.legacy,
  "quarantine-identities": shared["registry-identities"],
  "vetted-identities": {
    description:
      "The same for the job that promotes, besides those: the vetted registry, with a trust on stage-promote.yml at its commit.",
    default: "",
  },
  "quarantine-registry": shared.registry,
  "vetted-registry": {
    description:
      "The vetted registry's host, to log in to with the secrets: for reading, and where it promotes, for writing. Empty, no login.",
    default: "",
  },
  ...Object.fromEntries(rows.map(({ name }) => [`${name}-job-environment`, jobEnvironment(name)])),
  "runs-on": {
    description: "Label of the runner for the jobs that rebase, judge, sign and promote. The image never runs there.",
    default: "ubuntu-latest",
  },
  "check-runs-on": {
    description: "Label of the runner for the job that checks. Its runners should be thrown away after each job.",
    default: "ubuntu-latest",
  },
} satisfies Inputs;

export const rebaseImageInputs: Inputs = {
  ...common,
  ...whatIsRebased,
  quarantine: { description: "The image's repository in quarantine, HOST/NAME." },
  vetted: { description: "The image's repository in the vetted registry, HOST/NAME." },
  name: { description: "For the check: the name of the repository in vetted.", default: "" },
  source: { description: "For the check: the repository that it was built from.", default: "" },
  commit: { description: "For the check: the commit that it was built from.", default: "" },
};

export const rebaseSecrets: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    rows.flatMap(({ name }) => [
      [keyOf(name), `The private key of ${name === "rebase" ? "who attests rebases" : `the ${name} stage`}.`],
      [passphraseOf(name), "The passphrase of that key, where it has one."],
    ]),
  ),
  ...pullLogin,
  PULL_USERNAME: "User of 'pull-registry', for reading. The job that checks gets no other login.",
  QUARANTINE_USERNAME: "User of the quarantine registry. The job that checks gets it not.",
  QUARANTINE_PASSWORD: "Password or token of the quarantine registry. The job that checks gets it not.",
  ...vettedReadLogin,
  VETTED_USERNAME: "User of the vetted registry. Only the promote stage gets it.",
  VETTED_PASSWORD: "Password or token of the vetted registry. Only the promote stage gets it.",
};

export const rebaseImageOutputs: Readonly<Record<string, Output>> = {
  image: {
    description: "The promoted image, HOST/NAME@sha256:DIGEST. Deploy this.",
    value: expression("jobs.promote.outputs.image"),
  },
};

export function rebaseImageJobs(place: Place): Record<string, Mapping> {
  const { rebase: first, ...others } = chainJobs(chain, place.workflow);
  return { ...(first === undefined ? {} : { rebase: first }), check: checkJob(place), ...others };
}

/**
 * Runs what the platform or the application wrote, with the image as it will be promoted. It says nothing but how it
 * ends, and ends well where there is no check: a job that is skipped would have to be told from one that was kept out.
 */
function checkJob(place: Place): Mapping {
  return {
    name: "check",
    needs: "rebase",
    "runs-on": fromInput("check-runs-on"),
    "timeout-minutes": 60,
    permissions: { contents: "read" },
    ...place.guarded,
    steps: [
      {
        name: "Check out the calling repository",
        if: "inputs.check != ''",
        uses: pinned("actions/checkout"),
        with: { "persist-credentials": false },
      },
      logInToPull,
      {
        name: "Check what was rebased",
        shell: "bash",
        env: {
          IMAGE: `${fromInput("quarantine")}@${expression("needs.rebase.outputs.digest")}`,
          OLD_IMAGE: fromInput("image"),
          ...Object.fromEntries(
            ["name", "source", "commit", "check"].map((each) => [each.toUpperCase(), fromInput(each)]),
          ),
        },
        run: 'if [ "$CHECK" = "" ]; then echo "There is no check."; else bash "./$CHECK"; fi\n',
      },
    ],
  };
}

/** Of a fleet's run, for the job that plans. */
const ofPlan = {
  repositories: {
    description:
      "Repositories in vetted, one HOST/NAME a line. Default: those below the environment's `to` that the registry's catalogue lists.",
    default: "",
  },
  base: { description: "Only what stands on this base of the policy. Empty, on any.", default: "" },
  "only-tags": {
    description: "Only what these tags point at, one a line, and no others move. Empty, all tags.",
    default: "",
  },
  leave: {
    description: "Repositories, or folders of them, that are left as they are, one HOST/NAME a line.",
    default: "",
  },
  quarantine: {
    description: "HOST/NAME below which rebased images go. Empty, the environment's first `from`.",
    default: "",
  },
} satisfies Inputs;

export const fleetRebaseInputs: Inputs = { ...common, ...ofPlan };

export function fleetRebaseJobs(place: Place): Record<string, Mapping> {
  const hasDue = expression("needs.plan.outputs.due != '[]'");
  const listed = ["image", "onto", "tag", "tags", "quarantine", "vetted", "name", "source", "commit"];
  return {
    plan: planJob(place),
    each: {
      name: expression("matrix.name"),
      needs: "plan",
      if: hasDue,
      strategy: { "fail-fast": false, matrix: { include: expression("fromJSON(needs.plan.outputs.due)") } },
      permissions: promotePermissions,
      uses: place.workflow(rebaseImageFile),
      with: Object.fromEntries(
        Object.keys(rebaseImageInputs).map((name) => [
          name,
          listed.includes(name) ? expression(`matrix.${name}`) : fromInput(name),
        ]),
      ),
      secrets: Object.fromEntries(Object.keys(rebaseSecrets).map((secret) => [secret, fromSecret(secret)])),
    },
    // What is stopped, or could not be looked at, hinders no other wave; but the run is not to look whole.
    whole: {
      name: "refuse to call it whole",
      needs: "plan",
      if: expression("needs.plan.outputs.against != '0'"),
      "runs-on": fromInput("runs-on"),
      "timeout-minutes": 5,
      permissions: { contents: "read" },
      steps: [
        {
          name: "Say what is missing",
          shell: "bash",
          run: "echo '::error title=goldenpath::A wave is stopped, or not every image could be looked at: the job plan says which, and why.'; exit 1\n",
        },
      ],
    },
  };
}

function planJob(place: Place): Mapping {
  return {
    name: "plan",
    "runs-on": fromInput("runs-on"),
    "timeout-minutes": 60,
    permissions: signingPermissions,
    ...place.guarded,
    outputs: { due: expression("steps.plan.outputs.due"), against: expression("steps.plan.outputs.against") },
    steps: [
      ...place.guard,
      ...place.fetch,
      logIn("quarantine", "quarantine-registry", "QUARANTINE"),
      logIn("vetted, for reading", "vetted-registry", "VETTED_READ"),
      ownStep(place, fleetRebaseFile, {
        name: "Plan the wave",
        id: "plan",
        action: "rebase",
        with: {
          environment: fromInput("environment"),
          ...Object.fromEntries(["repositories", "base", "leave", "quarantine"].map((name) => [name, fromInput(name)])),
          tags: fromInput("only-tags"),
          "registry-identities": fromInput("quarantine-identities"),
        },
      }),
    ],
  };
}
