import type { Answers } from "./answers.ts";
import { planBaseFiles } from "./base-files.ts";
import { exampleKey, noCommit, type PlannedFile, replace } from "./example-text.ts";
import {
  type Facts,
  placeOf,
  platformKey,
  pointerOf,
  renderCases,
  renderPolicy,
  signingStages,
} from "./policy-text.ts";
import { renderReadme } from "./readme-text.ts";

/** The organisation's example, as it is in the checkout: what is written is the same with other names. */
export interface Examples {
  wrapper: string;
  caller: string;
  policyWorkflow: string;
  goldenBase: string;
}

/** Answers, what was looked up, and the examples → the platform repository. */
export function planFiles(answers: Answers, facts: Facts, examples: Examples): PlannedFile[] {
  return [
    { path: "policy.yaml", content: renderPolicy(answers, facts) },
    { path: "policy.cases.yaml", content: renderCases(answers, facts) },
    { path: ".github/workflows/golden-path.yml", content: renderWrapper(answers, facts, examples.wrapper) },
    { path: ".github/workflows/policy.yml", content: renderPolicyWorkflow(answers, facts, examples.policyWorkflow) },
    ...planBaseFiles(answers, facts, examples.goldenBase),
    { path: ".github/CODEOWNERS", content: renderOwners(answers) },
    { path: "application/.github/workflows/golden-path.yml", content: renderCaller(answers, examples.caller) },
    { path: "README.md", content: renderReadme(answers, facts) },
  ];
}

function renderWrapper(answers: Answers, facts: Facts, example: string): string {
  const { environments, quarantine } = answers;
  const [first = "", ...later] = environments;
  const hostOf = (place: string): string => place.slice(0, place.indexOf("/"));
  const repository = `$${"{{ github.event.repository.name }}"}`;
  const key = facts.publicKeys[platformKey]?.trimEnd().replaceAll("\n", `\n${" ".repeat(8)}`);
  let text = example;
  text = replace(text, "(here acme/platform)", `(${answers.organisation}/${answers.repository})`);
  text = replace(
    text,
    `goldenpath-ci/goldenpath/.github/workflows/golden-path.yml@${noCommit} # vX.Y.Z`,
    `${facts.goldenpath.repository}/.github/workflows/golden-path.yml@${facts.goldenpath.commit}`,
  );
  text = replace(
    text,
    "oci://registry.acme.example/vetted/goldenpath-policy:in-force",
    `oci://${pointerOf(answers)}:in-force`,
  );
  text = replace(text, exampleKey, key ?? "fill-in-policy-key");
  text = replace(text, `registry.acme.example/quarantine/${repository}`, `${quarantine}/${repository}`);
  text = replace(text, `registry.acme.example/vetted/${repository}`, `${placeOf(answers, first)}/${repository}`);
  text = replace(text, "pull-registry: registry.acme.example", `pull-registry: ${hostOf(quarantine)}`);
  text = replace(text, "quarantine-registry: registry.acme.example", `quarantine-registry: ${hostOf(quarantine)}`);
  const settings = [
    `vetted-registry: ${hostOf(answers.vetted)}`,
    `environment: ${first}`,
    `runs-on: ${answers.runner}`,
    `build-runs-on: ${answers.buildRunner}`,
    ...(answers.signing === "keyless"
      ? []
      : ["signer: key", ...["build", "base", "scan"].map((stage) => `${stage}-job-environment: goldenpath-${stage}`)]),
  ];
  text = replace(text, "vetted-registry: registry.acme.example", settings.join("\n      "));
  if (answers.signing === "keys") text = passKeys(text);
  return later.length === 0 ? text : addEnvironments(text, answers, facts, later);
}

const keyNames = (stages: readonly string[]): string[] =>
  stages.flatMap((stage) => ["", "_PASSPHRASE"].map((end) => `GOLDENPATH_${stage.toUpperCase()}_KEY${end}`));

/** Each stage's key is in an environment of its own, and goes on under its name. */
function passKeys(text: string): string {
  const names = keyNames(signingStages);
  const declared = names.map((name) => `      ${name}:\n        required: false\n`).join("");
  const passed = names.map((name) => `      ${name}: \${{ secrets.${name} }}\n`).join("");
  const noKey =
    "There is no key: each\n# stage signs as its own workflow at that SHA, which is what the policy has as its signer.";
  const withKeys = "Each\n# stage signs with a key of its own, from an environment of the repository that calls.";
  return replace(
    replace(
      replace(text, noKey, withKeys),
      "    secrets:\n      BUILD_SECRETS:\n        required",
      `    secrets:\n${declared}      BUILD_SECRETS:\n        required`,
    ),
    "    secrets:\n      BUILD_SECRETS: ",
    `    secrets:\n${passed}      BUILD_SECRETS: `,
  );
}

/** From one environment into the next, each behind reviewers of its own. */
function addEnvironments(text: string, answers: Answers, facts: Facts, later: readonly string[]): string {
  const [, policy = ""] = /( {6}# Whichever policy[\s\S]*?) {6}context:/.exec(text) ?? [];
  const host = answers.vetted.slice(0, answers.vetted.indexOf("/"));
  const secrets = ["VETTED_USERNAME", "VETTED_PASSWORD", ...(answers.signing === "keys" ? keyNames(["promote"]) : [])];
  const jobs = later.map((name, index) => {
    const before = index === 0 ? "path" : `into-${later[index - 1]}`;
    return `
  into-${name}:
    name: into ${name}
    needs: ${before}
    permissions:
      actions: read
      contents: read
      id-token: write
    uses: ${facts.goldenpath.repository}/.github/workflows/stage-promote.yml@${facts.goldenpath.commit}
    with:
${policy}      image: \${{ needs.${before}.outputs.image }}
      to: ${placeOf(answers, name)}/\${{ github.event.repository.name }}
      tags: \${{ github.sha }}
      environment: ${name}${answers.signing === "keys" ? "\n      signer: key" : ""}
      vetted-registry: ${host}
      runs-on: ${answers.runner}
      job-environment: goldenpath-promote-${name}
    secrets:
${secrets.map((secret) => `      ${secret}: \${{ secrets.${secret} }}`).join("\n")}
`;
  });
  const last = `into-${later.at(-1)}`;
  return `${replace(text, "jobs.path.outputs.image", `jobs.${last}.outputs.image`).trimEnd()}\n${jobs.join("")}`;
}

function renderPolicyWorkflow(answers: Answers, { goldenpath }: Facts, example: string): string {
  const last = answers.environments.at(-1) ?? "";
  const place = placeOf(answers, last);
  let text = example;
  text = replace(
    text,
    "(here acme/policy, with policy.yaml",
    `(${answers.organisation}/${answers.repository}, with policy.yaml`,
  );
  text = replace(
    text,
    "IMAGES: registry.acme.example/vetted/shop registry.acme.example/vetted/till",
    `IMAGES: ${place}/shop`,
  );
  text = replace(text, "repository: goldenpath-ci/goldenpath", `repository: ${goldenpath.repository}`);
  text = replace(text, `ref: "${noCommit}" # vX.Y.Z`, `ref: "${goldenpath.commit}"`);
  text = replace(text, "registry: registry.acme.example", `registry: ${place.slice(0, place.indexOf("/"))}`);
  text = replace(text, "--environment production", `--environment ${last}`);
  return replace(text, "runs-on: ubuntu-24.04", `runs-on: ${answers.runner}`);
}

function renderCaller(answers: Answers, example: string): string {
  return replace(
    example,
    `acme/platform/.github/workflows/golden-path.yml@${noCommit} # vX.Y.Z`,
    `${answers.organisation}/${answers.repository}/.github/workflows/golden-path.yml@${noCommit} # the platform repository's commit`,
  );
}

function renderOwners({ owners }: Answers): string {
  return `# Who has to agree to a change of what may run, and of the workflow that every application calls.\n* ${owners.join(" ")}\n`;
}
