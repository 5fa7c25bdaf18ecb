import type { Answers } from "./answers.ts";
import { exampleKey, noCommit, type PlannedFile, placesOf, replace } from "./example-text.ts";
import { type Facts, platformKey, pointerOf, renderBasePolicy } from "./policy-text.ts";

/** The golden base's own path: its definition, what it may stand on, its test, and the workflow that makes it of them. */
export function planBaseFiles(answers: Answers, facts: Facts, example: string): PlannedFile[] {
  return [
    { path: ".github/workflows/golden-base.yml", content: renderCaller(answers, facts, example) },
    { path: "bases/policy.yaml", content: renderBasePolicy(answers, facts) },
    { path: "bases/golden/Dockerfile", content: renderDockerfile(answers, facts) },
    { path: "bases/golden/about", content: `The golden base of ${answers.organisation}.\n` },
    { path: "bases/golden/test.sh", content: test },
  ];
}

function renderCaller(answers: Answers, { goldenpath, publicKeys }: Facts, example: string): string {
  const { organisation, repository, bases, vetted, signing } = answers;
  const hostOf = (place: string): string => place.slice(0, place.indexOf("/"));
  const key = publicKeys[platformKey]?.trimEnd().replaceAll("\n", `\n${" ".repeat(8)}`);
  let text = example;
  text = replace(text, "(here acme/platform, with", `(${organisation}/${repository}, with`);
  text = replace(
    text,
    `goldenpath-ci/goldenpath/.github/workflows/golden-base.yml@${noCommit} # vX.Y.Z`,
    `${goldenpath.repository}/.github/workflows/golden-base.yml@${goldenpath.commit}`,
  );
  text = replace(
    text,
    "oci://registry.acme.example/vetted/goldenpath-policy:in-force",
    `oci://${pointerOf(answers)}:in-force`,
  );
  text = replace(text, exampleKey, key ?? "fill-in-policy-key");
  text = replace(text, "acme/platform//bases/policy.yaml", `${organisation}/${repository}//bases/policy.yaml`);
  text = replace(text, "registry.acme.example/bases/golden", `${bases}/golden`);
  text = replace(
    text,
    "registry.acme.example/vetted/shop",
    placesOf(answers)
      .map((place) => `${place}/shop`)
      .join(`\n${" ".repeat(8)}`),
  );
  text = replace(text, "pull-registry: registry.acme.example", `pull-registry: ${hostOf(bases)}`);
  const isElsewhere = hostOf(vetted) !== hostOf(bases);
  const settings = [
    `registry: ${hostOf(bases)}`,
    ...(isElsewhere ? [`vetted-registry: ${hostOf(vetted)}`] : []),
    `runs-on: ${answers.runner}`,
    `build-runs-on: ${answers.buildRunner}`,
    ...(signing === "keyless"
      ? []
      : ["signer: key", "build-job-environment: goldenpath-bases", "job-environment: goldenpath-bases"]),
  ];
  text = replace(text, "      registry: registry.acme.example", `      ${settings.join("\n      ")}`);
  const secrets = [
    ...(isElsewhere ? ["VETTED_READ_USERNAME", "VETTED_READ_PASSWORD"] : []),
    ...(signing === "keyless" ? [] : keySecrets),
  ];
  return `${text.trimEnd()}\n${secrets.map((name) => `      ${name}: \${{ secrets.${name} }}\n`).join("")}`;
}

/** Of the environment `goldenpath-bases`, where stages sign with keys. */
const keySecrets = ["GOLDENPATH_BUILD_KEY", "GOLDENPATH_APPROVE_KEY"].flatMap((name) => [name, `${name}_PASSPHRASE`]);

function renderDockerfile({ organisation, server, repository }: Answers, { base }: Facts): string {
  return `# What every application of ${organisation} can stand on. Keep it light and stable: agents and certificates that all of them need, and nothing that
# only a build needs. What it stands on itself is said by bases/policy.yaml, which pins the version.
FROM ${base.repository}
LABEL org.opencontainers.image.source=${server}/${organisation}/${repository}
COPY about /etc/golden-base
`;
}

const test = `#!/usr/bin/env bash
# Has to end well where what stands on the base still answers. IMAGE is the version to be approved, HOST/NAME@sha256:DIGEST. There is no token here.
set -euo pipefail

docker run --rm --network none --entrypoint /bin/sh "$IMAGE" -c 'test -s /etc/golden-base'

# Then what matters: put applications on it, start them, and ask them something.
`;
