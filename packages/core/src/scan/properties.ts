/** A component's properties (CycloneDX) by name; of two with one name the last, as syft and grype read them. */
export function readProperties(value: unknown): Map<string, string> {
  const properties = new Map<string, string>();
  for (const property of Array.isArray(value) ? value : []) {
    const { name, value: said } = (property ?? {}) as Record<string, unknown>;
    if (typeof name === "string" && typeof said === "string") properties.set(name, said);
  }
  return properties;
}
