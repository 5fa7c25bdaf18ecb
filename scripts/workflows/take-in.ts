import { expression, fromInput, type Mapping, type Place } from "./shape.ts";
import { logInToPull, logInToQuarantine, ownStep } from "./steps.ts";

export const isTakenIn = "inputs.take-image != ''";
export const isBuilt = "inputs.take-image == ''";
/** When one image is built, and none is taken in. */
export const isBuiltAsOne = `inputs.platforms == '' && ${isBuilt}`;

/** Nothing is built here, and nothing of an application is in it: so the login that writes to quarantine may be. */
export function takeInJob(place: Place, file: string): Mapping {
  return {
    name: "take-in",
    if: expression(isTakenIn),
    "runs-on": fromInput("runs-on"),
    "timeout-minutes": 30,
    permissions: { contents: "read" },
    ...place.guarded,
    outputs: { digest: expression("steps.take.outputs.digest") },
    steps: [
      ...place.guard,
      ...place.fetch,
      logInToPull,
      logInToQuarantine,
      ownStep(place, file, {
        name: "Take the image in",
        id: "take",
        action: "detect-and-build",
        with: {
          image: fromInput("take-image"),
          tags: `${fromInput("repository")}:${fromInput("tag")}`,
          "from-api": fromInput("take-from-api"),
          builder: fromInput("builder"),
        },
        token: expression("secrets.ATTESTATIONS_TOKEN || github.token"),
      }),
    ],
  };
}
