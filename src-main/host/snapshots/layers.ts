/** The files that a machine's disks rest on, and what is to be done with those that nobody names. Pure. */

/** A file's own: the file directly below it; null where there is none. Paths are absolute. */
export type Below = ReadonlyMap<string, string | null>

export type LayerStep = { kind: 'delete'; path: string } | { kind: 'merge'; lower: string; upper: string }

/**
 * The next thing to do, or null when nothing is left: a file that nobody names and nothing rests on is deleted; one that a single other rests on is
 * merged with that. One that several rest on stays: merging would copy it into each.
 * @param named files that a snapshot or the machine names
 * @param mine files that may be deleted or merged; others stay
 * @param shared those of them that another machine has too: they may be deleted here, and merging would change them there
 */
export function nextStep(
  below: Below,
  named: ReadonlySet<string>,
  mine: ReadonlySet<string>,
  shared: ReadonlySet<string>,
): LayerStep | null {
  const above = new Map<string, string[]>()
  for (const [path, lower] of below) if (lower !== null) above.set(lower, [...(above.get(lower) ?? []), path])
  for (const path of below.keys()) {
    if (named.has(path) || !mine.has(path)) continue
    const uppers = above.get(path) ?? []
    if (uppers.length === 0) return { kind: 'delete', path }
    if (uppers.length === 1 && mine.has(uppers[0]!) && !shared.has(path) && !shared.has(uppers[0]!))
      return { kind: 'merge', lower: path, upper: uppers[0]! }
  }
  return null
}
