import type { Aim, BenchLine, BenchReport, BenchRow, Spread } from "./shape.ts";

export function renderReport(report: BenchReport): string {
  const { machine } = report;
  return [
    `bench ${report.bench}: ${machine.cores} × ${machine.cpu}, ${machine.memoryGigabytes} GB, Node ${machine.node}; load ${machine.load.map((each) => each.toFixed(1)).join(" before, ")} after`,
    `median of ${report.rounds} runs that take turns [fastest–slowest], after one that is counted; memory is the largest process's peak`,
    `peers: ${report.peers.map((peer) => ("missing" in peer ? `${peer.name} is missing (${peer.missing})` : `${peer.name} ${peer.version}`)).join(", ")}`,
    ...report.lines.flatMap(renderLine),
    "",
  ].join("\n");
}

export function renderLine(line: BenchLine): string[] {
  const head = ["", "seconds", "cpu s", "requests", "MB up", "MB down", "peak MB", "ours / it", ""];
  const table = [head, ...line.rows.map(renderRow)];
  return [
    "",
    `■ ${line.id}: ${line.what}`,
    ...(line.least === undefined ? [] : [`  least possible: ${line.least.requests} requests (${line.least.counted})`]),
    ...alignColumns(table).map((row) => `  ${row}`),
    ...line.rows
      .filter((row) => row.failed !== undefined)
      .map((row) => `  ${row.name} failed: ${row.failed?.trim().slice(0, 600)}`),
    ...line.aims.map(renderAim),
  ];
}

function renderRow(row: BenchRow): string[] {
  const name = `${row.ours ? "▸ " : "  "}${row.name}`;
  if (row.failed !== undefined) return [name, "failed", "", "", "", "", "", "", row.note];
  const { counts } = row;
  const megabytes = (bytes: number | undefined): string => (bytes === undefined ? "" : (bytes / 1e6).toFixed(1));
  return [
    name,
    row.seconds === undefined ? "" : renderSpread(row.seconds),
    row.cpuSeconds === undefined ? "" : row.cpuSeconds.median.toFixed(2),
    counts === undefined ? "" : String(counts.requests),
    megabytes(counts?.bytesSent),
    megabytes(counts?.bytesReceived),
    row.peakMegabytes?.toFixed(0) ?? "",
    Object.entries(row.ratios ?? {})
      .map(([name, ratio]) => `${name} ${ratio.toFixed(2)}`)
      .join(", "),
    row.note,
  ];
}

const renderSpread = ({ median, min, max }: Spread): string =>
  `${median.toFixed(2)} [${min.toFixed(2)}–${max.toFixed(2)}]`;

function renderAim({ aim, ours, against, whose, ratio, limit, holds }: Aim): string {
  return `  ${holds ? "✔ holds" : "✘ does not hold"}: ${aim}: ours ${short(ours)}, ${whose} ${short(against)}: ratio ${ratio.toFixed(2)}, aim ≤ ${limit}`;
}

const short = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(2));

function alignColumns(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  // Words to the left, numbers to the right.
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column >= row.length - 2
          ? cell.padEnd(widths[column] ?? 0)
          : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd(),
  );
}
