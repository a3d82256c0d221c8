const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })

/** "web-2" before "web-10", whatever the case. */
export function compareNames(a: string, b: string): number {
  return collator.compare(a, b)
}

/** Folders are paths of names; names have no "/", so a joined path is a key. */
export function folderKey(path: readonly string[]): string {
  return path.join('/')
}
