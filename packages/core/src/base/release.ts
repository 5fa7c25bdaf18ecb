/** Distributions of which all releases of one first number are compatible; of the others the second counts as well. */
const byFirstNumber = ["debian", "rhel", "centos", "rocky", "almalinux", "ol", "amzn"];

/** A distribution, and the part of its version that must stay; empty where it says none. */
export interface Release {
  id: string;
  version: string;
}

/**
 * What an os-release file says (os-release(5)); undefined where it says no distribution, something twice, or in a way that two
 * readers could read differently.
 */
export function readRelease(text: string): Release | undefined {
  const id = readField(text, "ID");
  const version = readField(text, "VERSION_ID");
  if (id === undefined || id === "" || version === undefined) return undefined;
  const numbers = version.split(".").slice(0, byFirstNumber.includes(id) ? 1 : 2);
  return { id, version: numbers.join(".") };
}

/** Empty where there is no such line. */
function readField(text: string, field: string): string | undefined {
  const [only, ...others] = text.split("\n").filter((line) => line.trimStart().startsWith(`${field}=`));
  if (only === undefined) return "";
  const value = new RegExp(`^${field}=(["']?)([A-Za-z0-9._-]+)\\1\\s*$`).exec(only)?.[2];
  return others.length > 0 ? undefined : value;
}
