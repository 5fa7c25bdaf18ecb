import { z } from "zod";
import { day, text } from "../schema-text.ts";

const named = z.record(z.string(), z.string());

/** What a case tells of an image for rules of stage base; what it does not tell of `config` is not there. */
export const ruleCaseFields = {
  config: z
    .strictObject({
      user: z.string().default(""),
      workingDirectory: z.string().default(""),
      entrypoint: z.array(z.string()).default([]),
      command: z.array(z.string()).default([]),
      env: named.default({}),
      ports: z.array(z.string()).default([]),
      volumes: z.array(z.string()).default([]),
      labels: named.default({}),
    })
    .optional(),
  layers: z
    .array(
      z.strictObject({
        size: z.number().int().min(0),
        from: z.enum(["base", "application", "unknown"]).default("application"),
      }),
    )
    .optional(),
  installed: z
    .array(z.strictObject({ manager: z.enum(["dpkg", "apk"]).default("dpkg"), name: text, version: text.default("1") }))
    .optional(),
  approvedOn: day.optional(),
};
