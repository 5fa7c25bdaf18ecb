import { escapeHtml, renderDocument } from "../report/html.ts";
import type { ExportedImage, ExportedPiece } from "./export-facts.ts";
import { renderCommand } from "./render-script.ts";

const style = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}
code,pre{font:13px/1.5 ui-monospace,monospace;overflow-wrap:anywhere}pre{white-space:pre-wrap;border-left:3px solid;padding-left:1rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .8rem .3rem 0;border-bottom:1px solid}`;

/**
 * A page of all that is known about one digest, and how each piece is checked: by itself, without a script or a request.
 */
export function renderEvidencePage(exported: ExportedImage, files: readonly string[]): string {
  const { image, platform, policy, pieces, rejected, children } = exported;
  const link = (file: string): string => `<a href="${encodeURI(file)}">${escapeHtml(file)}</a>`;
  const facts = [
    ["Image", `<code>${escapeHtml(image)}</code>`],
    ...(platform === undefined ? [] : [["Platform", escapeHtml(platform)]]),
    [
      "Policy",
      `${escapeHtml(policy.name)}, serial ${policy.serial}: ${link("policy.yaml")} <code>${escapeHtml(policy.digest)}</code>`,
    ],
    ...children.map(({ digest, folder, platform: name }) => [
      escapeHtml(name),
      `<a href="../${encodeURI(folder)}/index.html"><code>${escapeHtml(digest)}</code></a>`,
    ]),
  ];
  return renderDocument({
    title: `Evidence of ${image}`,
    style,
    body: `<h1>Evidence of an image</h1>
<table>${facts.map(([name, value]) => `<tr><th scope="row">${name}</th><td>${value}</td></tr>`).join("\n")}</table>
<h2>What was signed about it</h2>
${pieces.length === 0 ? "<p>Nothing that counts by this policy.</p>" : pieces.map(renderPiece).join("\n")}
<p>All of them at once: <code>sh check.sh</code>, in this folder. No network is needed.</p>
${rejected.length === 0 ? "" : renderRejected(rejected)}
<h2>Files</h2>
<ul>${files.map((file) => `<li>${link(file)}</li>`).join("\n")}</ul>`,
  });
}

function renderPiece({ predicateType, signers, time, file, digest, checks, others }: ExportedPiece): string {
  const when = time === undefined ? "" : ` at ${escapeHtml(time)} at the latest`;
  const show = (argvs: ExportedPiece["checks"]): string =>
    argvs.map((argv) => `<pre>${escapeHtml(renderCommand(argv))}</pre>`).join("\n");
  const commands = show(checks);
  return `<h3>${escapeHtml(predicateType)}</h3>
<p>By ${escapeHtml(signers.join(", "))}${when}: <a href="${encodeURI(file)}">${escapeHtml(file)}</a> <code>${escapeHtml(digest)}</code></p>
${commands === "" ? "<p>No tool of others reads it from a file.</p>" : commands}${others.length === 0 ? "" : `\n<p>Or:</p>\n${show(others)}`}`;
}

function renderRejected(rejected: ExportedImage["rejected"]): string {
  const rows = rejected.map(
    ({ referrer, reason }) => `<tr><td><code>${escapeHtml(referrer)}</code></td><td>${escapeHtml(reason)}</td></tr>`,
  );
  return `<h2>What refers to it and counts for nothing</h2>
<table>${rows.join("\n")}</table>`;
}
