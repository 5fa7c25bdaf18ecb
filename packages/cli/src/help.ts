import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Verb } from "@goldenpath/core/verbs/verb";
import { parse } from "yaml";

export function renderHelp(): string {
  return `goldenpath takes a commit to a vetted, signed image.

  goldenpath build     detect how an application is built, and build it into quarantine
  goldenpath enforce   prove which base an image stands on, and refuse any that is not approved
  goldenpath scan      list what is in an image, and refuse vulnerabilities that the policy does not accept
  goldenpath sign      sign a stage's result, or attest a build
  goldenpath verify    check that all evidence that an environment requires is there
  goldenpath promote   copy an image with its evidence to the vetted registry, behind the gate
  goldenpath report    show the path of an image

  goldenpath policy check FILE                     check a policy
  goldenpath policy publish FILE HOST/NAME         put it into a registry, and print its oci:// name
  goldenpath policy schema                         its JSON Schema
  goldenpath keys new DIR [NAME…]                  make a key pair for each stage
  goldenpath tools [list|prefetch] [NAME…]         the external tools: from where, which version
  goldenpath registry serve [--port N] [--dir DIR] the embedded OCI registry, on localhost

The verbs take the actions' inputs as options: goldenpath scan --help. They exit 0 on pass, 1 on fail (the policy says no) and 2 on error.
`;
}

interface ActionInputs {
  description: string;
  inputs: Record<string, { description: string; required?: boolean; default?: string }>;
}

/** A verb's options, from its action's own documentation. */
export function renderVerbHelp(verb: Verb): string {
  const file = join(import.meta.dirname, "../../../actions", verb.name, "action.yml");
  const action = parse(readFileSync(file, "utf8")) as ActionInputs;
  const options = Object.entries(action.inputs).map(([name, input]) => {
    const fallback = input.required === true ? " (required)" : input.default === undefined ? "" : ` (default: ${input.default})`;
    return `  --${name}${fallback}\n      ${input.description}`;
  });
  return `goldenpath ${verb.command}: ${action.description}.\n\n${options.join("\n")}\n  --json\n      Print the result and the outputs as JSON.\n`;
}
