import {
  buildSecrets,
  jobEnvironment,
  keyOf,
  passphraseOf,
  pullLogin,
  shared,
  takeInSecrets,
  whatIsBuilt,
} from "./inputs.ts";
import { judge } from "./judge-stage.ts";
import { platformInputs } from "./platforms.ts";
import {
  expression,
  fromInput,
  fromSecret,
  type Inputs,
  type Mapping,
  type SignerName,
  type StageRow,
} from "./shape.ts";
import { fileOf, promotePermissions, signingPermissions } from "./stage-jobs.ts";
import { promote, stageRows } from "./stages.ts";

/** The stages' workflows in their order, and which of them each waits for: the first gives the digest. */
export interface Chain {
  rows: readonly StageRow[];
  needs: Partial<Record<SignerName, string | string[]>>;
  /** What it gives a stage's input, before {@link handed}. */
  handed?: Readonly<Record<string, string | boolean>>;
}

export const fullChain: Chain = {
  rows: stageRows,
  needs: { base: "build", scan: "build", promote: ["build", "base", "scan"] },
};
export const compactChain: Chain = { rows: [judge, promote], needs: { promote: "judge" } };

/** What the chain gives a stage's input, where that is not the chain's own input of the same name. */
const handed: Readonly<Record<string, string>> = {
  repository: fromInput("quarantine"),
  tag: expression("github.sha"),
  to: fromInput("vetted"),
  tags: expression("inputs.tags || github.sha"),
  // What was built takes the place of whatever was built before.
  replaces: "",
  registry: fromInput("quarantine-registry"),
};

const chainInputsOf = ({ rows }: Chain): Inputs => ({
  policy: shared.policy,
  "policy-signer": shared["policy-signer"],
  context: shared.context,
  module: shared.module,
  quarantine: { description: "The image's repository in quarantine, HOST/NAME." },
  vetted: { description: "The image's repository in the vetted registry, HOST/NAME." },
  tags: {
    description:
      "Tags to set in the vetted registry, one a line, or rules that make them (type=semver,pattern={{version}}). Default, the commit's SHA.",
    default: "",
  },
  "allow-tag-rollback": shared["allow-tag-rollback"],
  "record-approvals": shared["record-approvals"],
  environment: shared.environment,
  ...whatIsBuilt,
  ...platformInputs,
  database: shared.database,
  "compare-with": shared["compare-with"],
  "tools-mirror": shared["tools-mirror"],
  "pull-registry": shared["pull-registry"],
  signer: shared.signer,
  legacy: shared.legacy,
  "quarantine-identities": shared["registry-identities"],
  "vetted-identities": {
    description:
      "The same for the job that promotes, besides those: the vetted registry, with a trust on stage-promote.yml at its commit.",
    default: "",
  },
  "quarantine-registry": shared.registry,
  "vetted-registry": {
    description: "The vetted registry's host, to log in to with the secrets. Empty, no login.",
    default: "",
  },
  ...Object.fromEntries(rows.map(({ name }) => [`${name}-job-environment`, jobEnvironment(name)])),
  "runs-on": {
    description: "Label of the runner for the jobs that judge, sign and promote. Strangers' code never runs there.",
    default: "ubuntu-latest",
  },
  "build-runs-on": {
    description:
      "Label of the runner for the job that builds, and so runs strangers' code. Make it one whose runners are thrown away after each job, and another than 'runs-on' where you keep your own.",
    default: "ubuntu-latest",
  },
});
export const chainInputs = chainInputsOf(fullChain);
export const compactInputs = chainInputsOf(compactChain);

const chainSecretsOf = ({ rows }: Chain): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(
    rows.flatMap(({ name }) => [
      [keyOf(name), `The private key of ${name === "judge" ? "what judges" : `the ${name} stage`}.`],
      [passphraseOf(name), "The passphrase of that key, where it has one."],
    ]),
  ),
  ...buildSecrets,
  ...takeInSecrets,
  ...pullLogin,
  QUARANTINE_USERNAME: "User of the quarantine registry. The job that builds gets it not.",
  QUARANTINE_PASSWORD: "Password or token of the quarantine registry. The job that builds gets it not.",
  VETTED_USERNAME: "User of the vetted registry. Only the promote stage gets it.",
  VETTED_PASSWORD: "Password or token of the vetted registry. Only the promote stage gets it.",
});
export const chainSecrets = chainSecretsOf(fullChain);
export const compactSecrets = chainSecretsOf(compactChain);

export const chainOutputs = {
  image: {
    description: "The promoted image, HOST/NAME@sha256:DIGEST. Deploy this.",
    value: expression("jobs.promote.outputs.image"),
  },
  digest: {
    description: "Its digest, the same in quarantine and in the vetted registry.",
    value: expression("jobs.promote.outputs.digest"),
  },
};

/** One job a stage, each with its own inputs and the secrets that it declares. */
export function chainJobs(chain: Chain, call: (file: string) => string): Record<string, Mapping> {
  return Object.fromEntries(chain.rows.map((row) => [row.name, callOf(row, chain, call)]));
}

function callOf({ name, inputs, logins }: StageRow, chain: Chain, call: (file: string) => string): Mapping {
  const { rows, needs } = chain;
  const before = needs[name];
  const digest = expression(`needs.${rows[0]?.name}.outputs.digest`);
  const own: Readonly<Record<string, string>> = {
    // The first gives the digest that the others take.
    image: name === rows[0]?.name ? fromInput("image") : `${fromInput("quarantine")}@${digest}`,
    "job-environment": fromInput(`${name}-job-environment`),
    "registry-identities":
      name === "promote"
        ? `${fromInput("quarantine-identities")}\n${fromInput("vetted-identities")}\n`
        : fromInput("quarantine-identities"),
  };
  const given = (input: string): string | boolean =>
    own[input] ?? chain.handed?.[input] ?? handed[input] ?? fromInput(input);
  const secrets = [keyOf(name), passphraseOf(name), ...Object.keys(logins)];
  return {
    name,
    ...(before === undefined ? {} : { needs: before }),
    permissions: name === "promote" ? promotePermissions : signingPermissions,
    uses: call(fileOf(name)),
    with: Object.fromEntries(Object.keys(inputs).map((input) => [input, given(input)])),
    secrets: Object.fromEntries(secrets.map((secret) => [secret, fromSecret(secret)])),
  };
}
