import { buildSecrets, jobEnvironment, pullLogin, shared, takeInSecrets, whatIsBuilt } from "./inputs.ts";
import { pinned } from "./pins.ts";
import { buildPlatforms, isWanted, jobOf, platformInputs, runnerOf, slugOf } from "./platforms.ts";
import {
  expression,
  fromInput,
  fromSecret,
  type Inputs,
  type Mapping,
  type Place,
  type SignerName,
  type StageRow,
} from "./shape.ts";
import { asItself, fileOf, keyJob, quarantineLogin, signer, signing } from "./stage-jobs.ts";
import { logInToPull, ownStep } from "./steps.ts";
import { isBuilt, isBuiltAsOne, isTakenIn, takeInJob } from "./take-in.ts";

/** What is built, and where it goes. */
export const buildInputs = {
  policy: shared.policy,
  "policy-signer": shared["policy-signer"],
  context: shared.context,
  module: shared.module,
  repository: {
    description:
      "The image's repository in quarantine, HOST/NAME. The attestation goes there as well, whatever the build says.",
  },
  tag: { description: "The tag to push." },
  ...whatIsBuilt,
  ...platformInputs,
  "tools-mirror": shared["tools-mirror"],
  "pull-registry": shared["pull-registry"],
} satisfies Inputs;

/** Where its jobs run. */
export const buildRunners = {
  "runs-on": {
    description: "Label of the runner for the job that pushes and attests. Strangers' code never runs there.",
    default: "ubuntu-latest",
  },
  "build-runs-on": {
    description:
      "Label of the runner for the job that builds, and so runs strangers' code. Its runners should be thrown away after each job.",
    default: "ubuntu-latest",
  },
} satisfies Inputs;

export const buildLogins = { ...pullLogin, ...quarantineLogin, ...buildSecrets, ...takeInSecrets };

export const build: StageRow = {
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
    ...buildInputs,
    ...signing,
    registry: shared.registry,
    "job-environment": jobEnvironment("build"),
    ...buildRunners,
  },
  logins: buildLogins,
  outputs: {
    digest: {
      description: "Digest of what was built, in the repository that was given.",
      value: expression("jobs.attest.outputs.digest"),
    },
  },
  jobs: (place) => {
    const outputs = { digest: expression("steps.attest.outputs.digest") };
    const attest = keyJob(place, "attest", { ...afterBuilding, outputs }, attestSteps(place, "build"));
    return { ...buildingJobs(place, "build"), attest };
  },
};

/** The jobs that leave an image and a digest to the one that attests, in the workflow of that name. */
export function buildingJobs(place: Place, of: SignerName): Record<string, Mapping> {
  const single = { if: expression(isBuiltAsOne), runsOn: fromInput("build-runs-on") };
  return {
    "take-in": takeInJob(place, fileOf(of)),
    build: buildJob(place, of, "build", single),
    ...Object.fromEntries(
      buildPlatforms.map((row) => {
        const built = { if: expression(isWanted(row)), runsOn: runnerOf(row), platform: row.platform };
        return [jobOf(row), buildJob(place, of, jobOf(row), built)];
      }),
    ),
  };
}

interface Built {
  if: string;
  runsOn: string;
  /** Which the job's machine has to be of. */
  platform?: string;
}

function buildJob(place: Place, of: SignerName, name: string, { if: condition, runsOn, platform }: Built): Mapping {
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
      ownStep(place, fileOf(of), {
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

/** The job that comes after them: a platform that nobody asked for has a job that is skipped, which would skip it. */
export const afterBuilding: Mapping = {
  needs: ["take-in", ...takenJobs.map(({ job }) => job)],
  if: expression("!cancelled() && !failure()"),
};

/** Takes what they left, pushes it, and signs what it is. */
export function attestSteps(place: Place, of: SignerName): Mapping[] {
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
  return [
    ...takenJobs.map((taken) => takeStep(place, taken)),
    ownStep(place, fileOf(of), {
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
        ...signer(of),
      },
    }),
  ];
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
