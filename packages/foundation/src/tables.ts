/** One field of each row, in the rows' order, and each with its own row's type: what a table of kinds is derived from. */
export function fieldOfEach<const Table extends readonly Readonly<Record<Field, unknown>>[], Field extends string>(
  table: Table,
  field: Field,
): { -readonly [Index in keyof Table]: Table[Index][Field] } {
  return table.map((row) => row[field]) as { -readonly [Index in keyof Table]: Table[Index][Field] };
}
