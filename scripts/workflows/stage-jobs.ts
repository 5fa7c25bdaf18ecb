import { keyOf, passphraseOf, shared } from "./inputs.ts";
import { fromInput, fromSecret, type Inputs, type Mapping, type Place, type SignerName } from "./shape.ts";
import { logInToQuarantine } from "./steps.ts";

export const quarantineLogin = {
  QUARANTINE_USERNAME: "User of the quarantine registry.",
  QUARANTINE_PASSWORD: "Password or token of the quarantine registry.",
};
export const fileOf = (stage: SignerName): string => `stage-${stage}.yml`;

/** What every stage that signs takes besides its own. */
export const signing = {
  signer: shared.signer,
  legacy: shared.legacy,
  "registry-identities": shared["registry-identities"],
} as const satisfies Inputs;

/** For each step that asks a registry, in a job that may have a token. */
export const asItself: Mapping = { "registry-identities": fromInput("registry-identities") };

/** The stage's signer, for the one step that signs; `keyless` has no key. */
export const signer = (stage: SignerName): Mapping => ({
  signer: fromInput("signer"),
  legacy: fromInput("legacy"),
  key: fromSecret(keyOf(stage)),
  "key-passphrase": fromSecret(passphraseOf(stage)),
});

/** What whoever calls has to grant to the job that signs: a called workflow's jobs get no more than that. */
export const signingPermissions: Mapping = { contents: "read", "id-token": "write" };
/** The same of the one that promotes, which may ask who approved the run. */
export const promotePermissions: Mapping = { actions: "read", ...signingPermissions };

/**
 * A job that judges, signs or promotes: it has the stage's environment and may ask for a token of who it is, and nothing
 * of the application is in it.
 */
export function keyJob(place: Place, name: string, more: Mapping, steps: readonly Mapping[]): Mapping {
  const { outputs, permissions = signingPermissions, ...before } = more;
  return {
    name,
    ...before,
    "runs-on": fromInput("runs-on"),
    "timeout-minutes": 30,
    environment: fromInput("job-environment"),
    permissions,
    ...place.guarded,
    ...(outputs === undefined ? {} : { outputs }),
    steps: [...place.guard, ...place.fetch, logInToQuarantine, ...steps],
  };
}
