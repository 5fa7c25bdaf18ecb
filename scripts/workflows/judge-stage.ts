import { afterBuilding, attestSteps, buildInputs, buildingJobs, buildLogins, buildRunners } from "./build-stage.ts";
import { jobEnvironment, shared } from "./inputs.ts";
import { judgeStep, judges, signResults } from "./judge-steps.ts";
import { expression, fromInput, type StageRow } from "./shape.ts";
import { keyJob, signing } from "./stage-jobs.ts";

const image = `${fromInput("repository")}@${expression("steps.attest.outputs.digest")}`;
/** One that fails keeps the other from nothing: both verdicts are to be known. Nothing is judged that is not attested. */
const isAttested = expression("!cancelled() && steps.attest.outcome == 'success'");

/** The stages build, base and scan with one job for all that signs. */
export const judge: StageRow = {
  name: "judge",
  comment: [
    "The compact path's first half: builds the application, then attests, judges its base and scans it, all in one job.",
    "",
    "The jobs that build are those of stage-build.yml. The job `judge` runs nothing of the application: it does what the job `attest` there and the jobs of stage-base.yml and",
    "stage-scan.yml do, and signs all of it as this workflow. So the policy lists this one signer for the three stages, and whoever breaks the scanner speaks for the build as well.",
  ].join("\n"),
  inputs: {
    ...buildInputs,
    database: shared.database,
    "compare-with": shared["compare-with"],
    ...signing,
    registry: shared.registry,
    "job-environment": jobEnvironment("judge"),
    ...buildRunners,
  },
  logins: buildLogins,
  outputs: {
    digest: {
      description: "Digest of what was built, in the repository that was given.",
      value: expression("jobs.judge.outputs.digest"),
    },
    base: {
      description: "The base stage's verdict: pass, fail or error.",
      value: expression("jobs.judge.outputs.base"),
    },
    scan: {
      description: "The scan stage's verdict: pass, fail or error.",
      value: expression("jobs.judge.outputs.scan"),
    },
  },
  jobs: (place) => {
    const verdictOf = (stage: "base" | "scan") => expression(`steps.${judges[stage].id}.outputs.verdict`);
    const outputs = {
      digest: expression("steps.attest.outputs.digest"),
      base: verdictOf("base"),
      scan: verdictOf("scan"),
    };
    return {
      ...buildingJobs(place, "judge"),
      judge: keyJob(place, "judge", { ...afterBuilding, outputs }, [
        ...attestSteps(place, "judge"),
        judgeStep(place, "judge", "base", image, { if: isAttested }),
        judgeStep(place, "judge", "scan", image, { if: isAttested }),
        signResults(place, "judge", ["base", "scan"], image),
      ]),
    };
  },
};
