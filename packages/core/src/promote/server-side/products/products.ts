import { artifactory } from "./artifactory.ts";
import { nexus } from "./nexus.ts";

/**
 * Every registry product whose own promotion is used. What the policy's schema, the plan and the promotion know of
 * products is from here.
 */
export const products = [artifactory, nexus] as const;
