import { shared } from "./inputs.ts";
import { fromInput, fromSecret, type Inputs, type Mapping, type Place } from "./shape.ts";
import { asItself, signingPermissions } from "./stage-jobs.ts";
import { logIn, ownStep } from "./steps.ts";

export const mirrorFile = "mirror-data.yml";

export const mirrorComment = [
  "Puts the scanners' newest vulnerability data into a registry, signed, for scans under the policy (scan.data) to take it from. To be called on a",
  "schedule, from a repository of the platform's. It is no stage: its signer speaks for none, and no application's code is anywhere near it.",
].join("\n");

export const mirrorInputs: Inputs = {
  policy: shared.policy,
  "policy-signer": shared["policy-signer"],
  to: { description: "The repository, oci://HOST/NAME. Empty, the policy's scan.data.repository.", default: "" },
  scanners: {
    description: "Whose data, one name a line. Empty, the policy's scan.scanners, and kev where scan.data.kev is true.",
    default: "",
  },
  ecosystems: {
    description: "For osv-scanner, of which ecosystems, one a line, as OSV calls them (Debian, npm, Maven).",
    default: "",
  },
  sources: {
    description: "Where data is fetched from instead of its publisher, one SCANNER=URL a line.",
    default: "",
  },
  keep: { description: "How many artifacts of each scanner stay in the repository.", default: "14" },
  signer: {
    description:
      "How the data is signed: keyless, as this workflow, which the policy has as a signer; or key or kms, with a key in the secrets.",
    default: "keyless",
  },
  "registry-identities": shared["registry-identities"],
  registry: { description: "The registry's host, to log in to with the secrets. Empty, no login.", default: "" },
  "job-environment": {
    description:
      "GitHub environment of the job: it may keep GOLDENPATH_DATA_KEY and its passphrase. Empty, none, and the caller's own secrets of those names are used.",
    default: "",
  },
  "runs-on": shared["runs-on"],
};

export const mirrorSecrets: Readonly<Record<string, string>> = {
  GOLDENPATH_DATA_KEY: "The private key of who signs the data (PEM, or as made by cosign).",
  GOLDENPATH_DATA_KEY_PASSPHRASE: "The passphrase of that key, where it has one.",
  DATA_USERNAME: "User of the registry.",
  DATA_PASSWORD: "Password or token of the registry.",
};

export function mirrorJobs(place: Place): Record<string, Mapping> {
  const handed = ["to", "scanners", "ecosystems", "sources", "keep", "signer"];
  return {
    mirror: {
      name: "mirror",
      "runs-on": fromInput("runs-on"),
      "timeout-minutes": 60,
      environment: fromInput("job-environment"),
      permissions: signingPermissions,
      ...place.guarded,
      steps: [
        ...place.guard,
        ...place.fetch,
        logIn("the registry", "registry", "DATA"),
        ownStep(place, mirrorFile, {
          name: "Mirror the data",
          id: "mirror",
          action: "mirror-data",
          with: {
            ...Object.fromEntries(handed.map((name) => [name, fromInput(name)])),
            ...asItself,
            key: fromSecret("GOLDENPATH_DATA_KEY"),
            "key-passphrase": fromSecret("GOLDENPATH_DATA_KEY_PASSPHRASE"),
          },
        }),
      ],
    },
  };
}
