import { cleanLine } from "@goldenpath/foundation/text/clean";
import { z } from "zod";

/** What a part of a comment is made of; whoever reads one back takes it for a stranger's. */
export const line = z
  .string()
  .max(4_000)
  .transform((text) => cleanLine(text));
export const count = z.number().int().nonnegative();
