import type { Accepted } from "./survivors.ts";

export const accepted: readonly Accepted[] = [];
