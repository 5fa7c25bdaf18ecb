interface Nesting<T> {
  components?: readonly T[] | undefined;
}

/** Components of an SBOM with those that are inside of others, each after the one that it is in. */
export function flattenComponents<T extends Nesting<T>>(components: readonly T[]): T[] {
  return components.flatMap((component) => [component, ...flattenComponents(component.components ?? [])]);
}
