import { expression } from "./shape.ts";
import { isBuilt } from "./take-in.ts";

/**
 * The platforms that a build fans out to, each a job of its own with an output of its own: the legs of a matrix share
 * their outputs, and the last one's would stand for all. One more is one row.
 */
export const buildPlatforms = [
  { platform: "linux/amd64", runner: "ubuntu-latest" },
  { platform: "linux/arm64", runner: "ubuntu-24.04-arm" },
] as const;
export type BuildPlatform = (typeof buildPlatforms)[number];

/** `linux-arm64`, in names of jobs and tags. */
export const slugOf = ({ platform }: BuildPlatform): string => platform.replaceAll("/", "-");
export const jobOf = (row: BuildPlatform): string => `build-${slugOf(row)}`;

export const platformInputs = {
  platforms: {
    description: `What to build for, such as ${buildPlatforms.map(({ platform }) => platform).join(",")}, each in a job of its own; their images become one index. Empty, for the platform of build-runs-on, as one image.`,
    default: "",
  },
  runners: {
    description:
      "Labels of the runners that build, by platform, a JSON object. Strangers' code runs there. A platform that is not in it gets build-runs-on.",
    default: JSON.stringify(Object.fromEntries(buildPlatforms.map(({ platform, runner }) => [platform, runner]))),
  },
};

export const runnerOf = ({ platform }: BuildPlatform): string =>
  expression(`fromJSON(inputs.runners || '{}')['${platform}'] || inputs.build-runs-on`);
/**
 * An expression: whether it is asked for, and none is taken in. What only looks like it is refused where the digests are
 * merged.
 */
export const isWanted = ({ platform }: BuildPlatform): string =>
  `contains(inputs.platforms, '${platform}') && ${isBuilt}`;
