/**
 * Which bundle is which machine. Normally a bundle's id is the one in its machine.json. A bundle that cannot be read gets an id from its
 * path. Where a folder was copied by hand, two bundles carry one id: the one that was there first keeps it, and the copy is shown with
 * a problem, untouched, until the user decides (a new name makes it a machine of its own; or the trash). Writing a new identity into a
 * bundle that nobody asked us to change would be worse: the "copy" may be the original, restored from a backup.
 */
import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { bundleFolderName, nameFromFolder } from './bundle.ts'
import type { BundleContent } from './read-bundle.ts'

/** A bundle with its identity in this library. Immutable: a change makes a new object. */
export interface Bundle extends BundleContent {
  id: string
  name: string
  /** The configuration as read, of a bundle whose id belongs to another one. */
  copy: MachineConfig | null
}

/**
 * @param holders the folder that holds each id so far: it keeps it
 * @returns bundles in the order of `contents`; unchanged ones are the very objects of `previous` (by folder)
 */
export function identify(
  contents: readonly BundleContent[],
  holders: ReadonlyMap<string, string>,
  previous: ReadonlyMap<string, Bundle>,
): Bundle[] {
  const winners = new Map<string, BundleContent>()
  for (const content of contents) {
    if (!content.config) continue
    const rival = winners.get(content.config.id)
    if (!rival || precedes(content, rival, holders.get(content.config.id))) winners.set(content.config.id, content)
  }
  return contents.map((content) => {
    const old = previous.get(content.folder)
    const next = withIdentity(content, winners, old)
    return old && same(old, next) ? old : next
  })
}

function withIdentity(content: BundleContent, winners: ReadonlyMap<string, BundleContent>, old: Bundle | undefined): Bundle {
  const { config, folder } = content
  // A machine.json that was readable a moment ago: it still is that machine, which may even be running.
  if (!config && old && !old.copy && !winners.has(old.id)) return { ...content, id: old.id, name: old.name, copy: null }
  if (!config) return { ...content, id: idFromPath(folder), name: nameFromFolder(folder), copy: null }
  const winner = winners.get(config.id)!
  if (winner === content) return { ...content, id: config.id, name: config.name, copy: null }
  const problem = new AppError(
    'already-exists',
    `This folder is a copy of “${winner.config!.name}” (${winner.folder}): both have the same identity. Give it another name to make it a machine of its own, or move it to the trash.`,
    { subject: folder },
  )
  return { ...content, config: null, problem, id: idFromPath(folder), name: nameFromFolder(folder), copy: config }
}

/** For a bundle without a usable id of its own: stable while it stays where it is. */
export function idFromPath(folder: string): string {
  return `path-${createHash('sha256').update(folder).digest('hex').slice(0, 24)}`
}

function precedes(a: BundleContent, b: BundleContent, holder: string | undefined): boolean {
  const rank = (content: BundleContent): string =>
    [
      content.folder === holder ? 0 : 1,
      content.inLibrary ? 0 : 1,
      // A copy made by hand keeps the old name in its machine.json.
      basename(content.folder) === bundleFolderName(content.config!.name) ? 0 : 1,
      content.folder,
    ].join(' ')
  return rank(a) < rank(b)
}

function same(a: Bundle, b: Bundle): boolean {
  return (
    a.id === b.id &&
    a.name === b.name &&
    a.config === b.config &&
    a.copy === b.copy &&
    a.suspended === b.suspended &&
    a.inLibrary === b.inLibrary &&
    a.problem?.message === b.problem?.message
  )
}
