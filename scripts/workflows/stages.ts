import { build } from "./build-stage.ts";
import { jobEnvironment, shared } from "./inputs.ts";
import { type JudgingStage, judgeStep, judges, signResults } from "./judge-steps.ts";
import {
  expression,
  fromInput,
  type Inputs,
  type Mapping,
  type Place,
  type StageName,
  type StageRow,
} from "./shape.ts";
import { asItself, fileOf, keyJob, promotePermissions, quarantineLogin, signer, signing } from "./stage-jobs.ts";
import { logIn, ownStep } from "./steps.ts";

const verdict = (stage: StageName) => ({
  verdict: { description: "pass, fail or error.", value: expression(`jobs.${stage}.outputs.verdict`) },
});

/** A stage that looks at an image, judges it, and signs its verdict. */
function judgingJob(place: Place, stage: JudgingStage) {
  const image = fromInput("image");
  const outputs = { verdict: expression(`steps.${judges[stage].id}.outputs.verdict`) };
  const steps = [judgeStep(place, stage, stage, image), signResults(place, stage, [stage], image)];
  return { [stage]: keyJob(place, stage, { outputs }, steps) };
}

const base: StageRow = {
  name: "base",
  comment:
    "The base stage: proves from its layers which base an image stands on, judges it by the policy, and signs the verdict with this stage's key.",
  inputs: {
    policy: shared.policy,
    "policy-signer": shared["policy-signer"],
    image: shared.image,
    ...signing,
    registry: shared.registry,
    "job-environment": jobEnvironment("base"),
    "runs-on": shared["runs-on"],
  },
  logins: quarantineLogin,
  outputs: verdict("base"),
  jobs: (place) => judgingJob(place, "base"),
};

const scan: StageRow = {
  name: "scan",
  comment:
    "The scan stage: lists what is in an image, judges its known vulnerabilities by the policy, and signs the verdict with this stage's key.",
  inputs: {
    policy: shared.policy,
    "policy-signer": shared["policy-signer"],
    image: shared.image,
    database: shared.database,
    "compare-with": shared["compare-with"],
    "tools-mirror": shared["tools-mirror"],
    ...signing,
    registry: shared.registry,
    "job-environment": jobEnvironment("scan"),
    "runs-on": shared["runs-on"],
  },
  logins: quarantineLogin,
  outputs: verdict("scan"),
  jobs: (place) => judgingJob(place, "scan"),
};

const promotionInputs: Inputs = {
  policy: shared.policy,
  "policy-signer": shared["policy-signer"],
  image: shared.image,
  to: { description: "The repository to promote to, HOST/NAME." },
  tags: {
    description:
      "Tags to set in the vetted registry, one a line, or rules that make them (type=semver,pattern={{version}}).",
    default: "",
  },
  "allow-tag-rollback": shared["allow-tag-rollback"],
  replaces: {
    description:
      "The one image that tags move from, sha256:DIGEST or HOST/NAME@sha256:DIGEST. Where a tag is at another, nothing is promoted. Empty, any.",
    default: "",
  },
  "record-approvals": shared["record-approvals"],
  environment: shared.environment,
  ...signing,
  registry: shared.registry,
  "vetted-registry": {
    description:
      "The vetted registry's host, to log in to with the secrets. Empty, no login. Where it is quarantine's host as well, this login reads from both.",
    default: "",
  },
  "job-environment": jobEnvironment("promote"),
  "runs-on": shared["runs-on"],
};

export const promote: StageRow = {
  name: "promote",
  comment: [
    "The promote stage: the gate, and behind it the only job that can write to the vetted registry. Its credential belongs in a protected environment, or in",
    "an OIDC trust on this file's identity. It copies the image with its evidence, verifies it there, signs the promotion, and sets the tags last.",
  ].join("\n"),
  inputs: promotionInputs,
  logins: {
    QUARANTINE_USERNAME: "User of the quarantine registry, for reading.",
    QUARANTINE_PASSWORD: "Password or token of the quarantine registry, for reading.",
    VETTED_USERNAME: "User of the vetted registry.",
    VETTED_PASSWORD: "Password or token of the vetted registry.",
  },
  outputs: {
    image: {
      description: "The promoted image, HOST/NAME@sha256:DIGEST.",
      value: expression("jobs.promote.outputs.image"),
    },
    digest: { description: "Digest of the promoted image.", value: expression("jobs.promote.outputs.digest") },
  },
  jobs: (place) => ({ promote: promoteJob(place) }),
};

function promoteJob(place: Place): Mapping {
  const file = fileOf("promote");
  const outputs = {
    image: expression("steps.promote.outputs.image"),
    digest: expression("steps.promote.outputs.digest"),
  };
  return keyJob(place, "promote", { outputs, permissions: promotePermissions }, [
    logIn("the vetted registry", "vetted-registry", "VETTED"),
    ownStep(place, file, {
      name: "Promote",
      id: "promote",
      action: "promote",
      with: {
        ...Object.fromEntries(
          ["image", "to", "tags", "environment", "allow-tag-rollback", "replaces", "record-approvals"].map((name) => [
            name,
            fromInput(name),
          ]),
        ),
        ...asItself,
        ...signer("promote"),
      },
    }),
    ownStep(place, file, {
      name: "Report the path",
      if: expression("!cancelled()"),
      action: "report",
      with: { image: expression("steps.promote.outputs.image || inputs.image"), ...asItself },
    }),
  ]);
}

/** The stages in the order of the path. */
export const stageRows: readonly StageRow[] = [build, base, scan, promote];
