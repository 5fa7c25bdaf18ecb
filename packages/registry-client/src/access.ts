import type { Repository } from "./oci/reference.ts";

/** What a request is about to do; its token is asked for that, and nothing more. */
export interface Access {
  repository: Repository;
  /** `list`: the registry's repositories, which is no matter of one of them. */
  action: "pull" | "push" | "delete" | "list";
  /** The repository that a blob is mounted from, in the same registry: needs to be readable with the same token. */
  mountFrom?: Repository;
}

/** For messages. */
export function verbOf(access: Access): string {
  return { pull: "pull from", push: "push to", delete: "delete from", list: "list" }[access.action];
}

export function scopesOf(access: Access): string[] {
  if (access.action === "list") return ["registry:catalog:*"];
  const actions = { pull: "pull", push: "pull,push", delete: "delete,pull" } as const;
  const own = `repository:${access.repository.name}:${actions[access.action]}`;
  return access.mountFrom === undefined ? [own] : [own, `repository:${access.mountFrom.name}:pull`];
}

/**
 * `repository:a:pull` and `repository:a:push,pull` → `repository:a:pull,push`: one scope for each thing, in the order
 * in which they first came.
 */
export function mergeScopes(scopes: readonly string[]): string[] {
  const merged = new Map<string, Set<string>>();
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(":");
    if (colon < 1) continue;
    const thing = scope.slice(0, colon);
    const actions = merged.get(thing) ?? new Set();
    for (const action of scope.slice(colon + 1).split(",")) if (action !== "") actions.add(action);
    merged.set(thing, actions);
  }
  return [...merged]
    .filter(([, actions]) => actions.size > 0)
    .map(([thing, actions]) => `${thing}:${[...actions].sort().join(",")}`);
}
