import github from "./embedded/github.json" with { type: "json" };
import publicGood from "./embedded/public.json" with { type: "json" };

/** Whose trusted root comes with goldenpath, for air gaps and for who keeps none. */
export const embeddedNames = ["public", "github"] as const;
export type EmbeddedName = (typeof embeddedNames)[number];

/**
 * Trusted roots as their instances published them by TUF, each with where it was taken from and the day of that. A
 * release with newer ones changes whom a policy trusts that names them: one that is to be reviewed with the policy
 * stands in the policy.
 */
const embedded: Readonly<Record<EmbeddedName, { root: object; source: string; day: string }>> = {
  public: {
    root: publicGood,
    source: "https://tuf-repo-cdn.sigstore.dev, by way of @sigstore/tuf 5.0.1 (Apache-2.0)",
    day: "2026-11-05",
  },
  // Those who sign there are the workflows of private repositories, and GitHub itself for releases.
  github: {
    root: github,
    source:
      "https://tuf-repo.github.com, by way of github.com/sigstore/sigstore-rust at c6750204cb5a1dfd0180c07d73aa15274c174a71 (Apache-2.0)",
    day: "2026-06-29",
  },
};

/** The JSON of a trusted root that comes with goldenpath. */
export function readEmbeddedRoot(name: EmbeddedName): string {
  return JSON.stringify(embedded[name].root);
}

/** Where it is from, and the day on which it was taken there. */
export function describeEmbeddedRoot(name: EmbeddedName): string {
  const { source, day } = embedded[name];
  return `${source}, taken on ${day}`;
}
