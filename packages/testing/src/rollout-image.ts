import type { RolloutImage } from "@goldenpath/core/fleet/rollout/facts";
import { digestOf } from "@goldenpath/registry-client/oci/digest";

export const rolloutTarget = { base: "golden", image: "registry.test/bases/golden", digest: digestOf("2") };

/** An image of vetted that stands on an older version of its base than {@link rolloutTarget}. */
export const rolloutImage = (name: string, more: Partial<RolloutImage> = {}): RolloutImage => ({
  ...{ name, repository: { registry: "registry.test", name: `vetted/${name}` }, digest: digestOf(name) },
  ...{ tags: ["prod"], target: rolloutTarget, isBehind: true, isRebased: false, ancestors: [], isTried: false },
  promotedAt: new Date("2026-01-01T00:00:00Z"),
  since: new Date("2026-01-01T00:00:00Z"),
  quarantine: { repository: { registry: "registry.test", name: `quarantine/${name}` }, tag: "rebased" },
  ...more,
});
