import { describeIssues } from "@goldenpath/foundation/text/json";
import { z } from "zod";
import { readTime, type VexDocument, type VexProduct, type VexStatement, type VexStatus } from "./statement.ts";

// https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html, profile 5 (VEX).
const product = z.looseObject({
  product_id: z.string().min(1),
  product_identification_helper: z
    .looseObject({
      purl: z.string().optional(),
      hashes: z
        .array(z.looseObject({ file_hashes: z.array(z.looseObject({ algorithm: z.string(), value: z.string() })) }))
        .optional(),
    })
    .optional(),
});
type Product = z.infer<typeof product>;

interface Branch {
  product?: Product | undefined;
  branches?: Branch[] | undefined;
}
const branch: z.ZodType<Branch> = z.looseObject({
  product: product.optional(),
  get branches() {
    return z.array(branch).optional();
  },
});

const ids = z.array(z.string()).default([]);
const vulnerability = z.looseObject({
  cve: z.string().optional(),
  ids: z.array(z.looseObject({ text: z.string() })).default([]),
  product_status: z.looseObject({
    known_not_affected: ids,
    fixed: ids,
    first_fixed: ids,
    known_affected: ids,
    under_investigation: ids,
  }),
  flags: z.array(z.looseObject({ label: z.string(), product_ids: ids })).default([]),
  threats: z.array(z.looseObject({ category: z.string(), details: z.string(), product_ids: ids })).default([]),
});
type Vulnerability = z.infer<typeof vulnerability>;

const document = z.looseObject({
  document: z.looseObject({
    category: z.literal("csaf_vex"),
    csaf_version: z.literal("2.0"),
    tracking: z.looseObject({
      id: z.string().min(1),
      status: z.enum(["final", "interim"]),
      current_release_date: z.string(),
    }),
  }),
  product_tree: z.looseObject({
    branches: z.array(branch).default([]),
    full_product_names: z.array(product).default([]),
    relationships: z
      .array(
        z.looseObject({
          full_product_name: product,
          product_reference: z.string(),
          relates_to_product_reference: z.string(),
        }),
      )
      .default([]),
  }),
  vulnerabilities: z.array(vulnerability).min(1),
});

/** Branches nest; a tree that is deeper is nobody's catalogue. */
const maxDepth = 64;

const statuses: readonly [keyof Vulnerability["product_status"], VexStatus][] = [
  ["known_not_affected", "not_affected"],
  ["fixed", "fixed"],
  ["first_fixed", "fixed"],
  ["known_affected", "affected"],
  ["under_investigation", "under_investigation"],
];

/** A CSAF document of the VEX profile → what it says; or what is wrong with it, a clause. */
export function readCsaf(json: unknown): VexDocument | { problem: string } {
  if (!isShallow(json)) return { problem: `its product tree has more than ${maxDepth} levels` };
  const parsed = document.safeParse(json);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { tracking } = parsed.data.document;
  const time = readTime(tracking.current_release_date);
  if (time === undefined) return { problem: "document.tracking.current_release_date is no time" };
  const products = listProducts(parsed.data.product_tree);
  if ("problem" in products) return products;
  const statements: VexStatement[] = [];
  for (const [index, each] of parsed.data.vulnerabilities.entries()) {
    const names = [...new Set([...(each.cve === undefined ? [] : [each.cve]), ...each.ids.map(({ text }) => text)])];
    if (names.length === 0) return { problem: `vulnerabilities[${index}] has neither cve nor ids` };
    for (const [list, status] of statuses) {
      for (const id of each.product_status[list] as string[]) {
        const found = products.get(id);
        if (found === undefined)
          return { problem: `vulnerabilities[${index}] names product '${id}', which it has not` };
        const because = explain(each, id);
        if (status === "not_affected" && because === "")
          return {
            problem: `vulnerabilities[${index}] has '${id}' as not affected, with neither a flag nor an impact`,
          };
        const said = because === "" ? {} : { because };
        statements.push({ vulnerability: names, status, ...said, products: [found], time });
      }
    }
  }
  return statements.length === 0
    ? { problem: "no vulnerability says anything of a product" }
    : { format: "CSAF", id: tracking.id, statements };
}

/** What the schema would go into until the stack ends. */
function isShallow(json: unknown): boolean {
  const tree = (json as { product_tree?: { branches?: unknown } } | null)?.product_tree;
  let level: unknown[] = Array.isArray(tree?.branches) ? tree.branches : [];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === maxDepth) return false;
    level = level.flatMap((each) => {
      const below = (each as { branches?: unknown } | null)?.branches;
      return Array.isArray(below) ? below : [];
    });
  }
  return true;
}

function explain({ flags, threats }: Vulnerability, id: string): string {
  const isOf = ({ product_ids: of }: { product_ids: string[] }): boolean => of.length === 0 || of.includes(id);
  const impacts = threats.filter((threat) => threat.category === "impact" && isOf(threat));
  return [...flags.filter(isOf).map(({ label }) => label), ...impacts.map(({ details }) => details)].join(": ");
}

type ProductTree = z.infer<typeof document>["product_tree"];

/** By their id: a product as it is named, and of a relationship the product that is a part of the other. */
function listProducts({
  branches,
  full_product_names: named,
  relationships,
}: ProductTree): Map<string, VexProduct> | { problem: string } {
  const products = new Map<string, VexProduct>();
  const add = (each: Product): void => void products.set(each.product_id, { ids: identify(each), parts: "all" });
  const walk = ({ product: own, branches: below = [] }: Branch): void => {
    if (own !== undefined) add(own);
    for (const each of below) walk(each);
  };
  for (const each of branches) walk(each);
  for (const each of named) add(each);
  for (const { full_product_name: whole, product_reference: part, relates_to_product_reference: of } of relationships) {
    const [inner, outer] = [products.get(part), products.get(of)];
    if (inner === undefined || outer === undefined)
      return {
        problem: `product_tree.relationships has '${inner === undefined ? part : of}', which is no product of it`,
      };
    const own = identify(whole);
    // A package's own URL says more than the two that it is made of; an image's does not say which part of it.
    const packages = own.filter((id) => id.startsWith("pkg:") && !id.startsWith("pkg:oci/"));
    products.set(
      whole.product_id,
      packages.length > 0 ? { ids: packages, parts: "all" } : { ids: [...own, ...outer.ids], parts: inner.ids },
    );
  }
  return products;
}

function identify({ product_identification_helper: helper }: Product): string[] {
  const digests = (helper?.hashes ?? []).flatMap(({ file_hashes: hashes }) =>
    hashes.filter(({ algorithm }) => algorithm === "sha256").map(({ value }) => `sha256:${value.toLowerCase()}`),
  );
  return [...(helper?.purl === undefined ? [] : [helper.purl]), ...digests];
}
