import { shortDigest } from "@goldenpath/registry-client/oci/digest";
import { escapeHtml } from "../html.ts";
import { type PageFinding, type PageImage, type PageLayer, pageSeverities } from "./model.ts";

/** How many of each severity, as one bar; its numbers stand in the controls below. */
export function renderSeverities(findings: readonly PageFinding[]): string {
  let from = 0;
  const bars = pageSeverities.map((severity) => {
    const width = findings.filter((finding) => finding.severity === severity).length;
    const bar = width === 0 ? "" : `<rect class="${severity}" x="${from}" y="0" width="${width}" height="1"/>`;
    from += width;
    return bar;
  });
  return `<svg class="bar" viewBox="0 0 ${findings.length} 1" preserveAspectRatio="none" aria-hidden="true" focusable="false">${bars.join("")}</svg>`;
}

/** The image as it is put together, the base at the bottom. A layer is a button: it shows what was found in it. */
export function renderLayers({ layers, base, findings }: PageImage): string {
  if (layers.length === 0) return "";
  const most = Math.max(1, ...layers.map((layer) => layer.findings));
  const [own, of] = [layers.filter(({ isBase }) => !isBase), layers.filter(({ isBase }) => isBase)];
  const draw = (group: readonly PageLayer[], from: number): string =>
    group
      .map((layer, at) => renderLayer(layer, from + at + 1, most, findings !== undefined))
      .reverse()
      .join("");
  const baseName =
    base === undefined
      ? "no approved base"
      : `base <b>${escapeHtml(base.name)}</b>${base.image === "" ? "" : " "}<span class="quiet" title="${escapeHtml(base.image)}">${escapeHtml(base.image.replace(/(@sha\d+:[0-9a-f]{12})[0-9a-f]+$/, "$1"))}</span>`;
  return `<h3>Layers</h3><div class="picture"><div class="layers${layers.length > 30 ? " many" : ""}">
<div class="group application"><p>application, ${own.length} of ${layers.length} layers</p><ol reversed>${draw(own, of.length)}</ol></div>
<div class="group base"><p>${baseName}, ${of.length} of ${layers.length} layers</p><ol reversed>${draw(of, 0)}</ol></div>
</div>${findings === undefined ? "" : renderWhoActs(findings, base?.name)}</div>`;
}

/** Whose the findings are: a team can update its own packages, and waits for the base's. */
function renderWhoActs(findings: readonly PageFinding[], base: string | undefined): string {
  const row = (origin: PageFinding["origin"], title: string, who: string): string => {
    const of = findings.filter((finding) => finding.origin === origin);
    const urgent = of.filter(({ state, kev }) => state === "counts" || kev === true).length;
    if (of.length === 0 && origin === "unknown") return "";
    return `<div class="${origin}"><dt>${title}</dt><dd><b>${of.length}</b> ${of.length === 1 ? "finding" : "findings"}${urgent === 0 ? "" : `, ${urgent} of them pressing`}. <span class="quiet">${who}</span></dd></div>`;
  };
  const name = base === undefined ? "the base" : escapeHtml(base);
  return `<dl class="who">${row("application", "Above the base", "The application’s team updates them.")}${row("base", `In ${name}`, "They go with the base’s next version.")}${row("unknown", "Nobody can say", "No layer is known for them.")}</dl>`;
}

function renderLayer({ diffId, findings }: PageLayer, number: number, most: number, isKnown: boolean): string {
  const heat = findings === 0 ? 0 : 1 + Math.floor((findings / most) * 3.99);
  const found = !isKnown ? "" : findings === 0 ? "no findings" : findings === 1 ? "1 finding" : `${findings} findings`;
  // What a page was told is a digest, or a stranger's word for one.
  const short = /^sha(?:256|512):[0-9a-f]+$/.test(diffId) ? shortDigest(diffId as `sha256:${string}`) : diffId;
  return `<li><button type="button" class="layer heat-${Math.min(heat, 4)}" data-layer="${number}" aria-pressed="false"${findings === 0 ? " disabled" : ""}><span>${number}</span> <code>${escapeHtml(short)}</code> <span class="found">${found}</span></button></li>`;
}

/** What the script filters by, and the table that it fills. */
export function renderControls({ findings = [], omitted }: PageImage, at: number): string {
  const count = (is: (finding: PageFinding) => boolean): number => findings.filter(is).length;
  const severities = pageSeverities.flatMap((severity) => {
    const number = count((finding) => finding.severity === severity);
    return number === 0
      ? []
      : [
          `<label class="chip"><input type="checkbox" name="severity" value="${severity}"> <span class="severity ${severity}">${severity}</span> ${number}</label>`,
        ];
  });
  const choice = (name: "origin" | "state" | "change", label: string, values: readonly string[]): string => {
    const known = values.filter((value) => count((finding) => finding[name] === value) > 0);
    if (known.length < 2 && name !== "change") return "";
    if (known.length === 0) return "";
    const options = known.map(
      (value) => `<option value="${value}">${value} (${count((finding) => finding[name] === value)})</option>`,
    );
    return `<label>${label} <select name="${name}"><option value="">any</option>${options.join("")}</select></label>`;
  };
  const head = (key: string, label: string): string =>
    `<th scope="col"><button type="button" data-sort="${key}">${label}</button></th>`;
  return `<form class="controls" aria-label="Filter the findings">
<label>Search <input type="search" class="search" name="text" placeholder="package, CVE, path" autocomplete="off" spellcheck="false"></label>
<fieldset><legend class="hidden">Severity</legend>${severities.join("")}</fieldset>
${choice("origin", "Comes with", ["base", "application", "unknown"])}
${choice("state", "By the policy", ["counts", "excepted", "accepted"])}
${choice("change", "Difference", ["new", "worse", "unchanged"])}
<label class="chip"><input type="checkbox" name="fixable"> has a fix ${count(({ fixed }) => fixed !== undefined)}</label>
<button type="button" class="reset">Reset</button>
<output class="count" aria-live="polite">${findings.length}</output>
</form>
<noscript><p class="nothing">The list needs the page’s own script, which this browser does not run.</p></noscript>
<div class="scroll" tabindex="0" role="region" aria-labelledby="findings-${at}"><table class="findings"><thead><tr><td></td>${head("severity", "Severity")}${head("id", "Advisory")}${head("package", "Package")}${head("fixed", "Fixed in")}${head("origin", "Comes with")}${head("risk", "CVSS · EPSS")}</tr></thead><tbody></tbody></table></div>
<p><button type="button" class="more" hidden>Show more</button></p>
${omitted === 0 ? "" : `<p class="nothing">And ${omitted} of the lowest severities, in the SARIF file.</p>`}`;
}
