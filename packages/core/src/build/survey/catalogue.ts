import { parse } from "smol-toml";
import { z } from "zod";
import type { Catalogue } from "./gradle.ts";

const version = z.union([z.string(), z.looseObject({ ref: z.string().optional() })]);
const catalogueSchema = z.looseObject({
  versions: z.record(z.string(), z.unknown()).optional(),
  plugins: z
    .record(z.string(), z.union([z.string(), z.looseObject({ id: z.string(), version: version.optional() })]))
    .optional(),
});

/**
 * A version catalogue of Gradle → its plugins, by the names that scripts give them: `-` and `_` of an alias are dots
 * there.
 * @throws Error of smol-toml or zod
 */
export function readCatalogue(text: string): Catalogue {
  const { versions = {}, plugins = {} } = catalogueSchema.parse(parse(text.replace(/^\ufeff/, "")));
  const named = (ref: string | undefined): string | undefined => {
    const value = ref === undefined || !Object.hasOwn(versions, ref) ? undefined : versions[ref];
    return typeof value === "string" ? value : undefined;
  };
  return Object.fromEntries(
    Object.entries(plugins).map(([alias, plugin]) => {
      const key = alias.replaceAll(/[-_]/g, ".");
      if (typeof plugin === "string") {
        const [id = "", written] = plugin.split(":");
        return [key, { id, version: written }];
      }
      const written = plugin.version;
      return [key, { id: plugin.id, version: typeof written === "string" ? written : named(written?.ref) }];
    }),
  );
}
