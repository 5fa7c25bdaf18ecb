import { chainInputs, chainSecrets, compactInputs, compactSecrets } from "./chain.ts";
import { shared } from "./inputs.ts";
import { pinned } from "./pins.ts";
import { expression, fromInput, fromSecret, type Inputs, type Mapping, type Place } from "./shape.ts";
import { promotePermissions } from "./stage-jobs.ts";
import { logInToPull, ownStep } from "./steps.ts";

const ofEach = {
  quarantine:
    "Where the images' repositories are in quarantine, HOST/NAME: each application's has its name after that.",
  vetted: "Where they are in the vetted registry, HOST/NAME.",
  "compare-with":
    "Tag of each application's image in the vetted registry to compare its findings with, such as prod. Empty, none.",
} as const;

const inputsOfEach = (inputs: Inputs): Inputs =>
  Object.fromEntries(
    Object.entries(inputs)
      .filter(([name]) => name !== "module")
      .map(([name, input]) => {
        const description = Object.hasOwn(ofEach, name) ? ofEach[name as keyof typeof ofEach] : input.description;
        return [name, name === "context" ? shared.collection : { ...input, description }];
      }),
  );

/** The path for each of several applications, by the one chain or the other. */
export interface Collection {
  file: string;
  name: string;
  comment: string;
  inputs: Inputs;
  secrets: Readonly<Record<string, string>>;
  /** The chain's file, and its inputs. */
  chain: { file: string; inputs: Inputs };
}

const commentOf = (chain: string): string =>
  [
    `The whole path for each of several applications in one repository: a job that lists them and runs nothing of theirs, and ${chain} for each.`,
    "An image's name is the folder's, under the two repositories that are given. Which folders are applications is said by `goldenpath build --explain`.",
  ].join("\n");

export const collections: readonly Collection[] = [
  {
    ...{ file: "golden-path-each.yml", name: "goldenpath for each", comment: commentOf("golden-path.yml") },
    ...{ inputs: inputsOfEach(chainInputs), secrets: chainSecrets },
    chain: { file: "golden-path.yml", inputs: chainInputs },
  },
  {
    ...{ file: "golden-path-each-compact.yml", name: "goldenpath compact for each" },
    comment: commentOf("golden-path-compact.yml"),
    ...{ inputs: inputsOfEach(compactInputs), secrets: compactSecrets },
    chain: { file: "golden-path-compact.yml", inputs: compactInputs },
  },
];

/** What one entry of the list says, in the job for it. */
const entry = (field: string): string => expression(`matrix.${field}`);

const handed: Readonly<Record<string, string>> = {
  context: `${fromInput("context")}/${entry("folder")}`,
  module: entry("module"),
  quarantine: `${fromInput("quarantine")}/${entry("name")}`,
  vetted: `${fromInput("vetted")}/${entry("name")}`,
  // Empty where no tag is given.
  "compare-with": expression(
    "inputs.compare-with && format('{0}/{1}:{2}', inputs.vetted, matrix.name, inputs.compare-with)",
  ),
};

const isEmpty = expression("needs.find.outputs.applications == '[]'");
const refusalOf = (chain: string): string =>
  `echo '::error title=goldenpath::There are not several applications in this folder: call ${chain} for it.'; exit 1\n`;

export function collectionJobs({ file, chain, secrets }: Collection, place: Place): Record<string, Mapping> {
  return {
    find: {
      name: "find",
      "runs-on": fromInput("runs-on"),
      "timeout-minutes": 10,
      permissions: { contents: "read" },
      ...place.guarded,
      outputs: { applications: expression("steps.find.outputs.applications") },
      steps: [
        ...place.guard,
        {
          name: "Check out the applications",
          uses: pinned("actions/checkout"),
          with: { path: "application", "persist-credentials": false },
        },
        ...place.fetch,
        // A policy in force is in a registry.
        logInToPull,
        ownStep(place, file, {
          name: "List the applications",
          id: "find",
          action: "detect-and-build",
          with: {
            context: `application/${fromInput("context")}`,
            explain: true,
            tags: `${fromInput("quarantine")}/listed:none`,
          },
        }),
      ],
    },
    // Without it there would be nothing for the matrix, and a run in which nothing was built would be green.
    none: {
      name: "refuse a folder that is an application itself",
      needs: "find",
      if: isEmpty,
      "runs-on": fromInput("runs-on"),
      "timeout-minutes": 5,
      permissions: { contents: "read" },
      steps: [{ name: "Say what to call", shell: "bash", run: refusalOf(chain.file) }],
    },
    each: {
      name: entry("name"),
      needs: "find",
      if: expression("needs.find.outputs.applications != '[]'"),
      strategy: {
        "fail-fast": false,
        matrix: { include: expression("fromJSON(needs.find.outputs.applications)") },
      },
      permissions: promotePermissions,
      uses: place.workflow(chain.file),
      with: Object.fromEntries(Object.keys(chain.inputs).map((name) => [name, handed[name] ?? fromInput(name)])),
      secrets: Object.fromEntries(Object.keys(secrets).map((secret) => [secret, fromSecret(secret)])),
    },
  };
}
