import type { ChildProcess } from "node:child_process";

export const ownsGroups = process.platform !== "win32";

const liveGroups = new Set<ChildProcess>();

function endAllGroups(): void {
  for (const child of liveGroups) killGroup(child, "SIGKILL");
}

/**
 * A process group of its own does not get the terminal's or the runner's signals, so this process takes its children
 * with it when it exits.
 */
export function watchGroup(child: ChildProcess): void {
  if (liveGroups.size === 0) process.on("exit", endAllGroups);
  liveGroups.add(child);
}

export function forgetGroup(child: ChildProcess): void {
  liveGroups.delete(child);
  if (liveGroups.size === 0) process.off("exit", endAllGroups);
}

export function killGroup(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (child.pid === undefined) return;
  try {
    if (ownsGroups) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // ESRCH: nobody is left in the group, which is what was wanted.
  }
}
