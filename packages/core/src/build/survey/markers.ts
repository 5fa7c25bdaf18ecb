import type { Survey } from "./survey.ts";

/**
 * A Dockerfile by the names that people give it: `Dockerfile`, `Dockerfile.prod`, `web.Dockerfile`, `Containerfile`. Not
 * `Dockerfile.dockerignore`, and none that hides: those are an editor's or a workspace's.
 */
export const dockerfileName =
  /^(?:Dockerfile|Containerfile)(?:\.(?!.*dockerignore$).+)?$|^[^.].*\.(?:Dockerfile|Containerfile)$/;

/**
 * Those that a build may mean where none is named: the usual one, as Docker takes it, or all that there are. What has the
 * usual name and is no file of the application is what was meant all the same: whoever reads it refuses it, and no other
 * is taken in its place.
 */
export function listDockerfiles({ files, strays = [] }: Pick<Survey, "files" | "strays">): string[] {
  const usual = ["Dockerfile", "Containerfile"].find((name) => files.includes(name) || strays.includes(name));
  return usual === undefined ? files.filter((name) => dockerfileName.test(name)) : [usual];
}

const markers =
  /^(?:project\.toml|Procfile|package\.json|pom\.xml|build\.sbt|project\.clj|deps\.edn|(?:build|settings)\.gradle(?:\.kts)?|go\.(?:mod|work)|pyproject\.toml|requirements\.txt|setup\.py|Pipfile|environment\.ya?ml|Cargo\.toml|Gemfile|config\.ru|composer\.json|nginx\.conf|httpd\.conf|Staticfile)$|\.(?:cs|fs|vb)proj$/;

/** Whether a file says how an application is built: a folder with one may be an application. */
export function isMarker(name: string): boolean {
  return markers.test(name) || dockerfileName.test(name);
}
