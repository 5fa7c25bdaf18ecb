/** Sections that only some verbs work by; one that is left out allows nothing. */
export const policySections = ["signers", "bases", "build", "scan", "environments"] as const;
export type PolicySection = (typeof policySections)[number];
