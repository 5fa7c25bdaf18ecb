import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What develops a site, and where its `build` leaves the files. */
const tools = [
  { starts: /^react-scripts\s+start\b/, root: () => "build" },
  { starts: /^vue-cli-service\s+serve\b/, root: () => "dist" },
  { starts: /^vite(?:\s+(?:dev|serve)\b|\s+-|\s*$)/, root: () => "dist" },
  { starts: /^parcel(?:\s+serve\b|\s+\S+\.html\b)/, root: () => "dist" },
  { starts: /^(?:webpack\s+serve\b|webpack-dev-server\b)/, root: () => "dist" },
  { starts: /^ng\s+serve\b/, root: findAngularOutput },
];

/**
 * Whether what package.json starts is a server for development alone, and its `build` leaves a site: nobody wants such a
 * server in an image, and what it needs is not in one.
 * @returns {{ root: string, command: string } | undefined} `root` is the folder that the build leaves, below the
 *   application's
 */
export function findFrontEnd(directory) {
  const { scripts = {}, main } = readObject(join(directory, "package.json")) ?? {};
  if (typeof scripts.build !== "string" || existsSync(join(directory, "Procfile"))) return undefined;
  const command = scripts.start ?? scripts.serve ?? scripts.dev;
  const isServer = ["server.js", "index.js", ...(typeof main === "string" ? [main] : [])].some((name) =>
    existsSync(join(directory, name)),
  );
  if (typeof command !== "string" || (scripts.start === undefined && isServer)) return undefined;
  const tool = tools.find(({ starts }) => starts.test(command.trim()));
  const root = tool?.root(directory);
  return root === undefined ? undefined : { root, command: command.trim() };
}

/** The only project of angular.json that is an application; since version 17 its pages are a folder further down. */
function findAngularOutput(directory) {
  const { projects = {} } = readObject(join(directory, "angular.json")) ?? {};
  const builds = Object.entries(projects).flatMap(([name, { architect, targets } = {}]) => {
    const build = (architect ?? targets)?.build;
    return build === undefined ? [] : [{ name, build }];
  });
  if (builds.length !== 1) return undefined;
  const [{ name, build }] = builds;
  const path = build.options?.outputPath;
  const base = typeof path === "object" && path !== null ? path.base : path;
  const folder = typeof base === "string" ? base : `dist/${name}`;
  const isNew = /:application$/.test(build.builder ?? "");
  return isNew && path?.browser !== "" ? `${folder}/${path?.browser ?? "browser"}` : folder;
}

function readObject(path) {
  try {
    const value = JSON.parse(readFileSync(path, "utf8").replace(/^\uFEFF/, ""));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    // Whoever needs the file says what is wrong with it.
    return undefined;
  }
}
