import { buildSecrets, jobEnvironment, keyOf, passphraseOf, pullLogin, shared } from "./inputs.ts";
import { pinned } from "./pins.ts";
import { buildPlatforms, isWanted, jobOf, platformInputs, runnerOf, slugOf } from "./platforms.ts";
import {
  expression,
  fromInput,
  fromSecret,
  type Inputs,
  type Mapping,
  type Place,
  type StageName,
  type StageRow,
} from "./shape.ts";
import { logIn, logInToPull, logInToQuarantine, ownStep } from "./steps.ts";
import { isBuilt, isBuiltAsOne, isTakenIn, takeInJob } from "./take-in.ts";

const quarantineLogin = {
  QUARANTINE_USERNAME: "User of the quarantine registry.",
  QUARANTINE_PASSWORD: "Password or token of the quarantine registry.",
};
const verdict = (stage: StageName) => ({
  verdict: { description: "pass, fail or error.", value: expression(`jobs.${stage}.outputs.verdict`) },
});

export const fileOf = (stage: StageName): string => `stage-${stage}.yml`;

/** What every stage that signs takes besides its own. */
const signing = {
  signer: shared.signer,
  legacy: shared.legacy,
  "registry-identities": shared["registry-identities"],
} as const satisfies Inputs;

/** For each step that asks a registry, in a job that may have a token. */
const asItself: Mapping = { "registry-identities": fromInput("registry-identities") };

/** The stage's signer, for the one step that signs; `keyless` has no key. */
const signer = (stage: StageName): Mapping => ({
  signer: fromInput("signer"),
  legacy: fromInput("legacy"),
  key: fromSecret(keyOf(stage)),
  "key-passphrase": fromSecret(passphraseOf(stage)),
});

/**
 * A job that judges, signs or promotes: it has the stage's environment and may ask for a token of who it is, and nothing
 * of the application is in it.
 */
function keyJob(place: Place, name: string, more: Mapping, steps: readonly Mapping[]): Mapping {
  const { outputs, ...before } = more;
  return {
    name,
    ...before,
    "runs-on": fromInput("runs-on"),
    "timeout-minutes": 30,
    environment: fromInput("job-environment"),
    permissions: { contents: "read", "id-token": "write" },
    ...place.guarded,
    ...(outputs === undefined ? {} : { outputs }),
    steps: [...place.guard, ...place.fetch, logInToQuarantine, ...steps],
  };
}

/** A stage that looks at an image, judges it, and signs its verdict. */
function judgingJob(
  place: Place,
  stage: StageName,
  judge: { name: string; id: string; action: string; needsTools?: true; with?: Mapping },
) {
  const file = fileOf(stage);
  const image = { image: fromInput("image") };
  return {
    [stage]: keyJob(place, stage, { outputs: { verdict: expression(`steps.${judge.id}.outputs.verdict`) } }, [
      ownStep(place, file, { ...judge, with: { ...image, ...judge.with, ...asItself } }),
      ownStep(place, file, {
        name: "Sign the result, a failure as well",
        if: expression(
          `!cancelled() && (steps.${judge.id}.outputs.verdict == 'pass' || steps.${judge.id}.outputs.verdict == 'fail')`,
        ),
        action: "sign",
        with: { ...image, results: expression(`steps.${judge.id}.outputs.result`), ...asItself, ...signer(stage) },
      }),
    ]),
  };
}

const build: StageRow = {
  name: "build",
  comment: [
    "The build stage: builds the application, then pushes to quarantine what was built, and attests it.",
    "",
    "Only the job `build`, or one of its kind for each platform, runs strangers' code (the application's build and its buildpacks). It has no signing key, no id-token and",
    "no login that writes anywhere: the image leaves it as an artifact, and its digest as an output. The job `attest` runs nothing of the application: it takes the artifact if",
    "it is exactly that digest, pushes it, of several platforms as one index, looks at it as it is in the registry, and signs what it saw. Where an image of elsewhere is",
    "named, the job `take-in` takes the place of those that build: it copies that image into quarantine, and runs nothing of it.",
  ].join("\n"),
  inputs: {
    policy: shared.policy,
    "policy-signer": shared["policy-signer"],
    context: shared.context,
    module: shared.module,
    repository: {
      description:
        "The image's repository in quarantine, HOST/NAME. The attestation goes there as well, whatever the build says.",
    },
    tag: { description: "The tag to push." },
    "take-image": shared["take-image"],
    strategy: shared.strategy,
    builder: shared.builder,
    env: shared.env,
    file: shared.file,
    target: shared.target,
    "build-args": shared["build-args"],
    ...platformInputs,
    "tools-mirror": shared["tools-mirror"],
    "pull-registry": shared["pull-registry"],
    ...signing,
    registry: shared.registry,
    "job-environment": jobEnvironment("build"),
    "runs-on": {
      description: "Label of the runner for the job that pushes and attests. Strangers' code never runs there.",
      default: "ubuntu-latest",
    },
    "build-runs-on": {
      description:
        "Label of the runner for the job that builds, and so runs strangers' code. Its runners should be thrown away after each job.",
      default: "ubuntu-latest",
    },
  },
  logins: { ...pullLogin, ...quarantineLogin, ...buildSecrets },
  outputs: {
    digest: {
      description: "Digest of what was built, in the repository that was given.",
      value: expression("jobs.attest.outputs.digest"),
    },
  },
  jobs: (place) => ({
    "take-in": takeInJob(place, fileOf("build")),
    build: buildJob(place, "build", {
      if: expression(isBuiltAsOne),
      runsOn: fromInput("build-runs-on"),
    }),
    ...Object.fromEntries(
      buildPlatforms.map((row) => [
        jobOf(row),
        buildJob(place, jobOf(row), {
          if: expression(isWanted(row)),
          runsOn: runnerOf(row),
          platform: row.platform,
        }),
      ]),
    ),
    attest: attestJob(place),
  }),
};

interface Built {
  if: string;
  runsOn: string;
  /** Which the job's machine has to be of. */
  platform?: string;
}

function buildJob(place: Place, name: string, { if: condition, runsOn, platform }: Built): Mapping {
  return {
    name,
    if: condition,
    "runs-on": runsOn,
    "timeout-minutes": 60,
    permissions: { contents: "read" },
    ...place.guarded,
    // Under which name is no more than where to look: what is found there has to be the digest.
    outputs: Object.fromEntries(
      ["digest", "artifact", "cache"].map((name) => [name, expression(`steps.build.outputs.${name}`)]),
    ),
    steps: [
      ...place.guard,
      {
        "#": "Into a folder of its own: beside goldenpath, and not around it, or goldenpath would be built into the image.",
        name: "Check out the application",
        uses: pinned("actions/checkout"),
        with: { path: "application", "persist-credentials": false },
      },
      // After the application, which may bring a folder of that name.
      ...place.fetch,
      logInToPull,
      ownStep(place, fileOf("build"), {
        name: "Detect and build",
        id: "build",
        action: "detect-and-build",
        needsTools: true,
        with: {
          context: `application/${fromInput("context")}`,
          module: fromInput("module"),
          push: false,
          tags: `${fromInput("repository")}:${fromInput("tag")}`,
          strategy: fromInput("strategy"),
          builder: fromInput("builder"),
          env: fromInput("env"),
          file: fromInput("file"),
          target: fromInput("target"),
          "build-args": fromInput("build-args"),
          secrets: fromSecret("BUILD_SECRETS"),
          ...(platform === undefined ? {} : { platforms: platform }),
        },
      }),
      {
        name: "Leave the image to the job that attests",
        uses: place.artifacts.upload,
        with: {
          name: expression("steps.build.outputs.artifact"),
          path: expression("steps.build.outputs.layout"),
          "if-no-files-found": "error",
          "retention-days": 1,
          ...place.upload,
        },
      },
    ],
  };
}

/** Each job whose image is taken: when, and where its layout is put. */
const takenJobs = [
  { job: "build", wanted: isBuiltAsOne, folder: "image" },
  ...buildPlatforms.map((row) => ({ job: jobOf(row), wanted: isWanted(row), folder: slugOf(row) })),
];

function attestJob(place: Place): Mapping {
  const more: Mapping = {
    needs: ["take-in", ...takenJobs.map(({ job }) => job)],
    // A platform that nobody asked for has a job that is skipped, which would skip this one.
    if: expression("!cancelled() && !failure()"),
    outputs: { digest: expression("steps.attest.outputs.digest") },
  };
  const ofSingle = `${isBuiltAsOne} && format`;
  const layouts = [
    expression(`${ofSingle}('{0}/built/image', runner.temp) || ''`),
    ...buildPlatforms.map((row) => {
      const line = `format('${row.platform}={0}/built/${slugOf(row)}', runner.temp)`;
      return expression(`${isWanted(row)} && ${line} || ''`);
    }),
  ];
  const digests = buildPlatforms.map(
    (row) => `${row.platform}=${expression(`${isWanted(row)} && needs.${jobOf(row)}.outputs.digest || ''`)}\n`,
  );
  return keyJob(place, "attest", more, [
    ...takenJobs.map((taken) => takeStep(place, taken)),
    ownStep(place, fileOf("build"), {
      name: "Push what was built, and attest it",
      id: "attest",
      action: "attest",
      needsTools: true,
      with: {
        image: `${fromInput("repository")}${expression(
          `${isTakenIn} && format('@{0}', needs.take-in.outputs.digest) || ${ofSingle}('@{0}', needs.build.outputs.digest) || ''`,
        )}`,
        layout: layouts.map((line) => `${line}\n`).join(""),
        // What is taken in has the platforms that it has.
        platforms: expression(`${isBuilt} && inputs.platforms || ''`),
        digests: digests.join(""),
        tags: fromInput("tag"),
        cache: takenJobs
          .map(({ job, wanted }) => `${expression(`${wanted} && needs.${job}.outputs.cache || ''`)}\n`)
          .join(""),
        "build-environment": "host",
        "build-runners": expression(`inputs.platforms != '' && ${isBuilt} && inputs.runners || ''`),
        strategy: expression(`${isTakenIn} && 'image' || inputs.strategy`),
        ...asItself,
        ...signer("build"),
      },
    }),
  ]);
}

/** Into the runner's own temporary folder, which it empties before each job. */
function takeStep(place: Place, { job, wanted, folder }: (typeof takenJobs)[number]): Mapping {
  return {
    name: `Take what ${job} left`,
    if: wanted,
    uses: place.artifacts.download,
    with: { name: expression(`needs.${job}.outputs.artifact`), path: `${expression("runner.temp")}/built/${folder}` },
  };
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
  jobs: (place) =>
    judgingJob(place, "base", { name: "Enforce the golden base", id: "enforce", action: "enforce-golden-base" }),
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
    "tools-mirror": shared["tools-mirror"],
    ...signing,
    registry: shared.registry,
    "job-environment": jobEnvironment("scan"),
    "runs-on": shared["runs-on"],
  },
  logins: quarantineLogin,
  outputs: verdict("scan"),
  jobs: (place) =>
    judgingJob(place, "scan", {
      name: "Scan",
      id: "scan",
      action: "scan",
      needsTools: true,
      with: { database: fromInput("database") },
    }),
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

const promote: StageRow = {
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
  return keyJob(place, "promote", { outputs }, [
    logIn("the vetted registry", "vetted-registry", "VETTED"),
    ownStep(place, file, {
      name: "Promote",
      id: "promote",
      action: "promote",
      with: {
        ...Object.fromEntries(
          ["image", "to", "tags", "environment", "allow-tag-rollback"].map((name) => [name, fromInput(name)]),
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
