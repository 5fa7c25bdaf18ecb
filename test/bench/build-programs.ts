import { delimiter } from "node:path";
import { findTool } from "@goldenpath/core/tools/find";
import { findInPath } from "@goldenpath/foundation/exec/find-in-path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { allTools } from "../support/tools.ts";

/** A program by its name. @throws Error where it can't be had, with what to install */
export type FindProgram = (name: string) => Promise<string>;

/** Those of the locks are got by them, all others are the machine's. */
export function programFinder(say: (message: string) => void): FindProgram {
  return (name) => (allTools.some((each) => each.name === name) ? lockedTool(name, say) : command(name));
}

export async function lockedTool(name: string, say: (message: string) => void): Promise<string> {
  say(`looking for ${name}; a first run builds it`);
  return (await findTool(name, { ports: silentPorts(), env: process.env, lock: allTools })).path;
}

/** @throws Error where the machine does not have it */
export async function command(name: string): Promise<string> {
  const path = [process.env["PATH"], "/usr/local/sbin", "/usr/sbin", "/sbin"].filter(Boolean).join(delimiter);
  const found = await findInPath(name, { PATH: path });
  if (found === undefined) throw new Error(`${name} is not on this machine: apt-get install ${name}`);
  return found;
}
