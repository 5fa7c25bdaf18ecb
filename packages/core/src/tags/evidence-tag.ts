/**
 * Names under which registries without a referrers API list an image's referrers, and cosign's older ones:
 * `sha256-<hex>`, `sha256-<hex>.att`. An image under such a tag would take the place of another one's evidence.
 */
export function isEvidenceTag(tag: string): boolean {
  return /^sha(?:256|512)-[0-9a-f]{32,}/.test(tag);
}
