import { jobEnvironment, shared } from "./inputs.ts";
import { expression, fromInput, type Place, type StageRow } from "./shape.ts";
import { asItself, fileOf, keyJob, quarantineLogin, signer, signing } from "./stage-jobs.ts";
import { logIn, ownStep } from "./steps.ts";

/** To read what is rebased: who writes there is promote alone. */
export const vettedReadLogin = {
  VETTED_READ_USERNAME: "User of the vetted registry, for reading.",
  VETTED_READ_PASSWORD: "Password or token of that user.",
};

/** What is rebased, onto what, and where it goes. */
export const whatIsRebased = {
  image: { description: "The image in the vetted registry, HOST/NAME@sha256:DIGEST." },
  onto: { description: "The version of its base to put it on, sha256:DIGEST: one that counts under the policy." },
  tag: { description: "The tag to push in quarantine." },
  tags: {
    description:
      "Tags that are at the image now, one a line. Where one of them is at another by its turn, nothing is rebased.",
    default: "",
  },
} as const;

export const rebase: StageRow = {
  name: "rebase",
  comment: [
    "Puts an image on another version of its base, in quarantine, and attests that, where the build stage would build. Nothing of the application runs: its layers are",
    "taken as they are. What it signs speaks for the build, by the old image's build and by bytes that it looks at for itself, so the policy has it among the signers of a",
    "builder of kind rebase, and of build.",
  ].join("\n"),
  inputs: {
    policy: shared.policy,
    "policy-signer": shared["policy-signer"],
    ...whatIsRebased,
    repository: { description: "The image's repository in quarantine, HOST/NAME." },
    "tools-mirror": shared["tools-mirror"],
    ...signing,
    registry: shared.registry,
    "vetted-registry": {
      description:
        "The vetted registry's host, to log in to for reading. Empty, no login; where it is quarantine's host as well, that login reads from both.",
      default: "",
    },
    "job-environment": jobEnvironment("rebase"),
    "runs-on": shared["runs-on"],
  },
  logins: { ...quarantineLogin, ...vettedReadLogin },
  outputs: {
    digest: {
      description: "Digest of the rebased image, in the repository that was given.",
      value: expression("jobs.rebase.outputs.digest"),
    },
  },
  jobs: (place) => ({ rebase: rebaseJob(place) }),
};

function rebaseJob(place: Place) {
  const file = fileOf("rebase");
  const rebased = `${fromInput("repository")}@${expression("steps.rebase.outputs.digest")}`;
  return keyJob(place, "rebase", { outputs: { digest: expression("steps.attest.outputs.digest") } }, [
    logIn("vetted, for reading", "vetted-registry", "VETTED_READ"),
    ownStep(place, file, {
      name: "Put the image on the other version",
      id: "rebase",
      action: "rebase",
      with: {
        image: fromInput("image"),
        onto: fromInput("onto"),
        to: `${fromInput("repository")}:${fromInput("tag")}`,
        tags: fromInput("tags"),
        ...asItself,
      },
    }),
    ownStep(place, file, {
      name: "Attest it",
      id: "attest",
      action: "attest",
      needsTools: true,
      with: { image: rebased, "rebased-from": fromInput("image"), ...asItself, ...signer("rebase") },
    }),
  ]);
}
