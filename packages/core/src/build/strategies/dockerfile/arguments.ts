import { UserError } from "@goldenpath/foundation/errors";
import type { BuildOptions } from "../../options.ts";

/**
 * Build arguments are in the image's history and its provenance, and some of them are settings of BuildKit.
 * @throws UserError `input-invalid`
 */
export function checkArguments({ buildArgs, secrets, target }: BuildOptions): void {
  const refuse = (message: string, wayOut: string): never => {
    throw new UserError(message, { code: "input-invalid", wayOut });
  };
  for (const [name, value] of Object.entries(buildArgs)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      refuse(
        `input 'build-args': '${name}' is not the name of an argument`,
        "Write letters, digits and _, not a digit first.",
      );
    if (name.toUpperCase() === "BUILDKIT_SYNTAX")
      refuse(`input 'build-args': ${name} would let another program read the Dockerfile`, "Leave it out.");
    if ([...secrets.values()].some((secret) => value.includes(secret.value)))
      refuse(
        `input 'build-args': '${name}' has a secret in it, and everybody who pulls the image can read it`,
        "Mount the secret in the step that needs it: RUN --mount=type=secret,id=ID.",
      );
  }
  for (const id of secrets.keys()) {
    if (!/^[A-Za-z0-9._-]+$/.test(id)) refuse(`input 'secrets': '${id}' is no ID`, "Write letters, digits, and . _ -.");
  }
  if (target !== undefined && !/^[A-Za-z0-9._-]+$/.test(target))
    refuse(`input 'target' is '${target}', which is no stage's name`, "Name a stage of the Dockerfile.");
}
