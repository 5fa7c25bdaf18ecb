import type { Answers } from "./answers.ts";
import { type Facts, keysOf, platformKey, pointerOf, signingStages } from "./policy-text.ts";

/** What is left for people to do, as it is counted. */
export interface Remaining {
  /** A line of a file that has to be changed by hand. */
  edits: readonly string[];
  /** A secret to set, and where. */
  secrets: readonly string[];
  /** What is only there in a browser (or by `gh api`). */
  clicks: readonly string[];
}

/** Answers and what was looked up → what remains. */
export function listRemaining(answers: Answers, facts: Facts): Remaining {
  const { environments, signing, organisation, repository } = answers;
  const unknownKeys = keysOf(answers).filter((name) => facts.publicKeys[name] === undefined);
  const promotions = environments.map((name, index) =>
    index === 0 ? "goldenpath-promote" : `goldenpath-promote-${name}`,
  );
  const ofStages = signing === "keys" ? signingStages.filter((stage) => stage !== "promote") : [];
  const environment = [...ofStages.map((stage) => `goldenpath-${stage}`), ...promotions];
  return {
    edits: [
      ...(signing === "keyless" && facts.ownerId === undefined
        ? [
            `\`policy.yaml\` and \`bases/policy.yaml\`: \`ownerId\`, six times (\`gh api users/${organisation} --jq .id\`)`,
          ]
        : []),
      ...[facts.base, facts.builder].flatMap(({ digest, asked }) =>
        digest === undefined
          ? [
              `\`policy.yaml\`, and of the base \`bases/policy.yaml\`: the digest of \`${asked}\` (\`crane digest ${asked}\`)`,
            ]
          : [],
      ),
      ...unknownKeys.map((name) => `\`policy.yaml\`: the public key of \`${name}\``),
      ...(unknownKeys.includes(platformKey)
        ? ["`golden-path.yml` and `golden-base.yml` in `.github/workflows`: the same key"]
        : []),
      "`.github/workflows/policy.yml`: `IMAGES`, the repositories that applications are promoted to",
      "`.github/workflows/golden-base.yml`: `images`, the same",
      `in each application, \`application/.github/workflows/golden-path.yml\` with this repository's commit (\`git rev-parse HEAD\`)`,
    ],
    secrets: listSecrets(answers, promotions, ofStages),
    clicks: [
      `protect \`main\` of ${organisation}/${repository}: a review by code owners, and the check \`policy\``,
      `where ${organisation}/${repository} is private: share its workflows (Settings → Actions → General → Access)`,
      `once the policy is in force, before the first application: run the workflow \`golden base\` of ${organisation}/${repository}, and let what reads quarantine read \`${answers.bases}/golden\``,
      ...(signing === "keys"
        ? [`in ${organisation}/${repository}: environment \`goldenpath-bases\`, limited to \`main\``]
        : []),
      ...environment.map(
        (name) =>
          `in each application, before its first run: environment \`${name}\`, limited to the protected default branch${name.startsWith("goldenpath-promote") ? ", with required reviewers" : ""}`,
      ),
    ],
  };
}

function listSecrets(
  { signing, organisation, repository, bases }: Answers,
  promotions: readonly string[],
  ofStages: readonly string[],
): string[] {
  return [
    ...["PULL_USERNAME", "PULL_PASSWORD", "QUARANTINE_USERNAME", "QUARANTINE_PASSWORD"].map(
      (name) => `\`${name}\`: of the organisation`,
    ),
    ...["VETTED_READ_USERNAME", "VETTED_READ_PASSWORD"].map((name) => `\`${name}\`: of ${organisation}/${repository}`),
    ...["BASES_USERNAME", "BASES_PASSWORD"].map(
      (name) => `\`${name}\`: of ${organisation}/${repository}, writes below \`${bases}\` and reads vetted`,
    ),
    ...(signing === "keys"
      ? ["GOLDENPATH_APPROVE_KEY", "GOLDENPATH_BUILD_KEY"].map(
          (name) => `\`${name}\`: of the environment \`goldenpath-bases\` of ${organisation}/${repository}`,
        )
      : []),
    ...promotions.flatMap((name) =>
      ["VETTED_USERNAME", "VETTED_PASSWORD", ...(signing === "keys" ? ["GOLDENPATH_PROMOTE_KEY"] : [])].map(
        (secret) => `\`${secret}\`: of each application's environment \`${name}\``,
      ),
    ),
    ...ofStages.map(
      (stage) => `\`GOLDENPATH_${stage.toUpperCase()}_KEY\`: of each application's environment \`goldenpath-${stage}\``,
    ),
  ];
}

/** The README of what was written: what is where, what remains, and how the path begins. */
export function renderReadme(answers: Answers, facts: Facts): string {
  const { edits, secrets, clicks } = listRemaining(answers, facts);
  const list = (items: readonly string[]): string => items.map((item) => `- [ ] ${item}`).join("\n");
  const { commit, repository } = facts.goldenpath;
  const onServer =
    answers.server === "https://github.com"
      ? ""
      : `

This server needs a copy of goldenpath with workflows for it, before anything else: docs/github-enterprise-server.md of
${repository} says how, and the commit that comes out replaces \`${commit}\` here.`;
  return `# The platform of ${answers.organisation}

What an image needs before it runs, and the workflow that takes it there. Written by \`goldenpath init\`.

| File | What it is |
| --- | --- |
| \`policy.yaml\` | what may run; every change is reviewed by ${answers.owners.join(", ")} |
| \`policy.cases.yaml\` | what the policy has to refuse and to let through: \`npx goldenpath policy test policy.yaml\` |
| \`.github/workflows/golden-path.yml\` | what each application calls |
| \`.github/workflows/policy.yml\` | checks a change of the policy, and says what it would do to what is promoted |
| \`.github/workflows/golden-base.yml\` | builds, tests and approves the base of \`bases/golden\`, each week and with each change of it |
| \`bases/\` | the golden base's definition and test, and what it may stand on itself |
| \`application/\` | what goes into an application's repository |

## What remains

${edits.length} edits, ${secrets.length} secrets, ${clicks.length} clicks.${onServer}

**Edits**

${list(edits)}

**Secrets**

${list(secrets)}

**Clicks**

${list(clicks)}

## In force

Where this says \`npx goldenpath\`, run it in a checkout of ${repository} at \`${commit}\`, after \`npm ci\`.
The private half of the key \`${platformKey}\` stays where only the platform team reads it.

\`\`\`sh
npx goldenpath policy check policy.yaml
npx goldenpath policy test policy.yaml
npx goldenpath policy activate policy.yaml --to ${pointerOf(answers)} --key ../goldenpath-keys/${platformKey}.key --first
\`\`\`
`;
}
