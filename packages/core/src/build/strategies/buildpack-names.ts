import { join } from "node:path";
import { z } from "zod";

/** By the Buildpack API: letters, digits, `/`, `.` and `-`; an id becomes one path component with `_` for `/`. */
export const buildpackId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9./-]*$/)
  .max(200)
  .refine((id) => !id.split("/").some((part) => /^\.*$/.test(part)), "has an empty part");
export const buildpackVersion = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9.+_-]*$/)
  .max(100);

export interface Buildpack {
  id: string;
  version: string;
}

export function formatBuildpack({ id, version }: Buildpack): string {
  return `${id}@${version}`;
}

/** The folder of a buildpack below `/cnb/buildpacks`. */
export function buildpackFolder({ id, version }: Buildpack): string {
  return join(id.replaceAll("/", "_"), version);
}
