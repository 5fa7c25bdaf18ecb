import { isKnownError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RoomRoot } from "./sandbox/root.ts";
import { openSandbox, type Sandbox } from "./sandbox/sandbox.ts";
import type { Source } from "./source.ts";
import type { Workspace } from "./workspace.ts";

/** The room that strangers' code runs in; none where this machine has none to give and the policy goes without. */
export async function keepApart(
  workspace: Workspace,
  { mayBeUnisolated }: { mayBeUnisolated: boolean },
  source: Source,
  { ports, env, signal }: Context,
): Promise<Sandbox | undefined> {
  // It is tried out as the one who will build, who has to get to what lies below /tmp.
  await workspace.handOver(workspace.builder, workspace.temporary);
  try {
    return await openSandbox({ workspace, env, ports, signal, secret: [source.directory] });
  } catch (error) {
    if (!mayBeUnisolated || !isKnownError(error) || error.code !== "build-not-isolated") throw error;
    ports.log.warning(`${error.message}: it runs unisolated, as the policy allows`);
    return undefined;
  }
}

/** A room whose root is an image's: there is no going without, since the image is what the build is to see. */
export async function keepInImage(
  workspace: Workspace,
  root: RoomRoot,
  source: Source,
  { ports, env, signal }: Context,
): Promise<Sandbox> {
  await workspace.handOver(workspace.builder, workspace.temporary);
  return openSandbox({ workspace, env, ports, signal, secret: [source.directory], root });
}

/** What a build's result notes of where it ran. */
export function describeIsolation(sandbox: Sandbox | undefined, image?: string): string[] {
  if (sandbox === undefined)
    return ["buildEnvironment: host-unisolated", "built on the bare host: nothing kept the build apart from it"];
  const refused = [...sandbox.refused].slice(0, 10);
  return [
    ...(image === undefined
      ? ["buildEnvironment: host", `built on a host, in namespaces of its own (by ${sandbox.way})`]
      : [
          "buildEnvironment: container",
          `built in namespaces of its own (by ${sandbox.way}), with the root of ${image}`,
        ]),
    ...(refused.length === 0 ? [] : [`the build asked for addresses that no build gets to: ${refused.join(", ")}`]),
  ];
}

/** The same of a build that had the machine's Docker daemon, in whatever room it was besides. */
export const describeDaemon: readonly string[] = [
  "buildEnvironment: host-unisolated",
  "the build had this machine's Docker daemon, and whoever has that can do on the machine what root can",
];
