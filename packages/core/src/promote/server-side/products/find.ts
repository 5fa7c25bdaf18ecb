import { fieldOfEach } from "@goldenpath/foundation/tables";
import type { z } from "zod";
import type { Product } from "./product.ts";
import { products } from "./products.ts";

export type ServerSidePromotion = z.output<(typeof products)[number]["settingsSchema"]>;

/** Of each product, in the table's order. */
export const settingsSchemas = fieldOfEach(products, "settingsSchema");

/** For code that takes any: each reads the settings that its own schema has read. */
const all = products as readonly unknown[] as readonly Product[];

export function findProduct(name: string): Product {
  const product = all.find((each) => each.product === name);
  if (product === undefined) throw new TypeError(`${name} is no product`);
  return product;
}
