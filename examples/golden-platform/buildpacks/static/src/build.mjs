import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { makeLayer } from "../lib/layers.mjs";
import { writeProcesses } from "../lib/processes.mjs";
import { installRuntime } from "../lib/runtime.mjs";
import { isServed } from "../lib/served.mjs";
import { findSite, openSite, requireSite } from "./site.mjs";

/** nginx, its settings as a layer, and of the application's folder only the site. */
export function build(place) {
  const inner = openSite(place);
  const root = findSite(inner);
  requireSite(inner, root);
  const runtime = installRuntime(place, "nginx");
  const layer = makeLayer(
    place,
    "site",
    ["launch"],
    `Serving ${root === "" ? "the application's folder" : root}`,
    (folder) => {
      mkdirSync(join(folder, "html"));
      const source = join(inner.directory, root);
      const filter = (path) => isServed(basename(path));
      for (const name of readdirSync(source))
        if (!["Procfile", "project.toml"].includes(name))
          cpSync(join(source, name), join(folder, "html", name), { recursive: true, filter });
      writeFileSync(join(folder, "nginx.conf"), renderSettings(place, runtime.root, folder));
    },
  );
  for (const name of readdirSync(place.directory))
    if (name !== "Procfile") rmSync(join(place.directory, name), { recursive: true, force: true });
  // biome-ignore lint/suspicious/noTemplateCurlyInString: for the shell
  const listen = 'echo "listen ${PORT:-8080};" > /tmp/listen.conf';
  const start = `${listen} && exec ${join(runtime.root, "usr/sbin/nginx")} -e stderr -p /tmp -c ${join(layer, "nginx.conf")}`;
  writeProcesses(place, { web: start }, { folders: [join(runtime.root, "usr/sbin")], names: [] });
}

/** As an ordinary user, with nothing to write but /tmp. BP_WEB_SERVER_ENABLE_PUSH_STATE serves the page for every path. */
function renderSettings({ env }, runtime, layer) {
  const fallback = env.BP_WEB_SERVER_ENABLE_PUSH_STATE === "true" ? "/index.html" : "=404";
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `  ${name}_temp_path /tmp/${name};`,
  );
  return `daemon off;
worker_processes 2;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
events {}
http {
  include ${join(runtime, "etc/nginx/mime.types")};
  default_type application/octet-stream;
  access_log /dev/stdout;
  server_tokens off;
  sendfile on;
  gzip on;
  gzip_types text/css application/javascript application/json image/svg+xml;
${temporary.join("\n")}
  server {
    include /tmp/listen.conf;
    root ${join(layer, "html")};
    location / {
      try_files $uri $uri/ ${fallback};
    }
  }
}
`;
}
