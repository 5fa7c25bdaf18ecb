import { existsSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";
import type { Finding } from "./finding.ts";

/** Where a reader changes the version of a package of this type, the surest first. Types are syft's. */
const manifestsByType: Readonly<Record<string, readonly string[]>> = {
  npm: ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "package.json"],
  "java-archive": ["pom.xml", "build.gradle.kts", "build.gradle"],
  "go-module": ["go.mod"],
  python: ["poetry.lock", "uv.lock", "Pipfile.lock", "requirements.txt", "pyproject.toml"],
  gem: ["Gemfile.lock", "Gemfile"],
  "rust-crate": ["Cargo.lock", "Cargo.toml"],
  "php-composer": ["composer.lock", "composer.json"],
  dotnet: ["packages.lock.json"],
};

/** Where the base is chosen, or else a file that most repositories have. */
const elsewhere = ["Dockerfile", "Containerfile", "project.toml", "README.md"];

/**
 * For SARIF: the file of the checkout where a finding is mended. GitHub drops results with locations that are not
 * there, so each is looked up; where nothing fits, the policy's file when it is in the checkout.
 * @param policy as given: a path or a URI
 */
export function createLocator(workingDirectory: string, policy: string): (finding: Finding) => string {
  const exists = (name: string): boolean => existsSync(join(workingDirectory, name));
  const policyPath = relative(workingDirectory, isAbsolute(policy) ? policy : join(workingDirectory, policy));
  const inCheckout = policyPath !== "" && !policyPath.startsWith("..") && !isAbsolute(policyPath) && exists(policyPath);
  const fallback = elsewhere.find(exists) ?? (inCheckout ? policyPath.split(sep).join("/") : "README.md");
  const byType = new Map<string, string>();
  return ({ package: { type } }) => {
    const known = byType.get(type) ?? manifestsByType[type]?.find(exists) ?? fallback;
    byType.set(type, known);
    return known;
  };
}
