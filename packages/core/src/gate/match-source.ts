/**
 * True where a source repository's URL matches a pattern of the policy: component by component, the whole URL, `*`
 * standing for exactly one component of ordinary characters. So `https://github.com/acme/*` has
 * `https://github.com/acme/shop`, not `…/acme/shop/x`, `…/acme`, nor `…/acme/shop?x`.
 */
export function matchesSource(repository: string, pattern: string): boolean {
  const components = repository.split("/");
  const wanted = pattern.split("/");
  return (
    components.length === wanted.length &&
    wanted.every((want, index) => {
      const component = components[index] ?? "";
      return want === "*" ? /^[A-Za-z0-9._-]+$/.test(component) && !/^\.+$/.test(component) : want === component;
    })
  );
}

/**
 * The same for a workflow's identity, `https://HOST/OWNER/REPO/PATH@REF`, where `@*` is any ref of one component, such
 * as a commit.
 */
export function matchesWorkflow(workflow: string, pattern: string): boolean {
  const split = (text: string): [file: string, ref: string] => {
    const at = text.indexOf("@");
    return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
  };
  const [file, ref] = split(workflow);
  const [wantedFile, wantedRef] = split(pattern);
  return matchesSource(file, wantedFile) && matchesSource(ref, wantedRef);
}
