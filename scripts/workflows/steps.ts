import { pinned } from "./pins.ts";
import { expression, fromInput, fromSecret, type Mapping, type Place } from "./shape.ts";

/** A login, where the host is given at all. */
export function logIn(
  where: string,
  registryInput: string,
  secrets: "PULL" | "QUARANTINE" | "VETTED" | "VETTED_READ" | "DATA",
): Mapping {
  return {
    name: `Log in to ${where}`,
    if: `inputs.${registryInput} != ''`,
    uses: pinned("docker/login-action"),
    with: {
      registry: fromInput(registryInput),
      username: fromSecret(`${secrets}_USERNAME`),
      password: fromSecret(`${secrets}_PASSWORD`),
    },
  };
}

export const logInToPull = logIn("what is read", "pull-registry", "PULL");
export const logInToQuarantine = logIn("quarantine", "registry", "QUARANTINE");

export interface OwnStep {
  name: string;
  id?: string;
  if?: string;
  action: string;
  /** Its job is the first to need some tool. */
  needsTools?: true;
  /** Default: the job's own. */
  token?: string;
  /** After the policy and its signer, which every action gets. */
  with: Mapping;
}

/** A step that runs one of goldenpath's actions. */
export function ownStep(place: Place, file: string, step: OwnStep): Mapping {
  return {
    name: step.name,
    ...(step.id === undefined ? {} : { id: step.id }),
    ...(step.if === undefined ? {} : { if: step.if }),
    uses: place.action(step.action),
    env: {
      GITHUB_TOKEN: step.token ?? expression("github.token"),
      ...(step.needsTools === undefined ? {} : { GOLDENPATH_TOOL_MIRROR: fromInput("tools-mirror") }),
      GOLDENPATH_WORKFLOW_REF: place.workflowRef(file),
    },
    with: { policy: fromInput("policy"), "policy-signer": fromInput("policy-signer"), ...step.with },
  };
}
